"""Events that a study distorts: stored, not selected, of generated events that no other pool has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unseen.errors import NotEnoughEventsError
from unseen.events import Events
from unseen.events.selection import passes, remove_objects
from unseen.search.validate import Floats
from unseen.seeds import generator

__all__ = ["at_mixture", "nominal_selected", "set_apart"]

FEWEST = 100  # selected events of a process


def nominal_selected(events: Events) -> np.ndarray:
    """Which nominal events pass the schema's selection, bool (n,)."""
    selection = events.schema.selection
    return passes(remove_objects(events, selection.objects), selection)


def set_apart(events: Events, share: float, seed: int, stream: str) -> tuple[Events, Events]:
    """Return the events that stay, and `share` of the generated ones with all their rows.

    Other splits of the same events need another name of their random `stream`.
    """
    rng = generator(seed, "study", "stored", stream)
    source = events.record["source"] if "source" in events.record else np.arange(len(events))
    known, which = np.unique(source, return_inverse=True)
    apart = (rng.random(len(known)) < share)[which]
    return events[np.flatnonzero(~apart)], events[np.flatnonzero(apart)]


def at_mixture(events: Events, mixture: Mapping[str, float]) -> Events:
    """The events of the processes of `mixture`, weighted so that the selected ones have its shares and mean weight 1.

    Raises NotEnoughEventsError if fewer than 100 of a process are selected.
    """
    shares = {name: share for name, share in mixture.items() if share > 0}
    chosen = events.of(*(name for name in events.label_names if name in shares))
    kept = nominal_selected(chosen)
    weight: Floats = np.zeros(len(chosen))
    for name, share in shares.items():
        mine = (
            chosen.label == chosen.label_names.index(name)
            if name in chosen.label_names
            else np.zeros(len(chosen), bool)
        )
        n = int(np.count_nonzero(mine & kept))
        if n < FEWEST:
            raise NotEnoughEventsError(
                f"{n} selected events of '{name}' are set apart for the nuisance parameters, at least {FEWEST} are "
                "needed: provide more, or raise systematics.share"
            )
        weight[mine] = share / n
    weight *= np.count_nonzero(kept) / weight[kept].sum()
    return Events.create(
        chosen.schema,
        chosen.objects,
        chosen.present,
        label=chosen.label,
        label_names=chosen.label_names,
        weight=weight,
        record=dict(chosen.record),
    )
