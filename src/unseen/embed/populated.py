"""Whether every model of a training sees every class: looked at before the first of them is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.embed.data import split_by_source
from unseen.embed.ensemble import Member
from unseen.embed.labels import Labelling
from unseen.embed.settings import TrainingConfig
from unseen.errors import NotEnoughEventsError
from unseen.events import Events

__all__ = ["check_classes", "check_populated"]

MERGE = "provide more of them, or give the class a common one with others (labels: {name: groups, ...})"


def check_classes(config: TrainingConfig, names: tuple[str, ...], n: int) -> None:
    """NotEnoughEventsError if the objective needs classes and these `names`, of n events, are fewer than two."""
    if config.objective.needs_classes and len(names) < 2:
        raise NotEnoughEventsError(
            f"objective '{config.objective.name}' needs two classes or more; labels '{config.labels.name}' of the "
            f"{n} training events give {len(names)}: {', '.join(names) or 'none'}"
        )


def check_populated(
    events: Events,
    labelling: Labelling,
    config: TrainingConfig,
    rows: NDArray[np.int64],
    seed: int,
    member: Member | None = None,
) -> None:
    """NotEnoughEventsError if a model trained on these `rows` would not see a class that its objective needs.

    It names the class, and the fold that the `member` of several leaves out; `seed` is that of the model.
    """
    if not config.objective.needs_classes:
        return
    fit, _ = split_by_source(events, config.validation_fraction, seed, rows)
    seen, given, total = (_counts(labelling, part) for part in (fit, rows, slice(None)))
    for c in np.flatnonzero(seen == 0)[:1]:
        fold = None if member is None else member.fold
        if not given[c]:
            where, way = f"all {total[c]} of them are in that fold", "use fewer folds"
        else:
            outside = "" if fold is None else " outside that fold"
            where = f"all {given[c]} of them{outside} are held out for validation"
            way = f"lower validation_fraction ({config.validation_fraction:g})"
        model = "the model" if member is None else f"model '{member.name}'"
        left = "" if fold is None else f", which leaves out fold {fold} of {config.folds},"
        raise NotEnoughEventsError(
            f"{model}{left} would be trained without events of class '{labelling.names[c]}': {where}. Either {way}, "
            f"{MERGE}"
        )


def _counts(labelling: Labelling, rows: NDArray[np.int64] | slice) -> NDArray[np.int64]:
    return np.bincount(labelling.target[rows], minlength=len(labelling.names))
