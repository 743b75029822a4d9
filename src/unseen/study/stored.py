"""Events that a study distorts: stored, not selected, of generated events that no other pool has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unseen.errors import NotEnoughEventsError
from unseen.events import Events
from unseen.seeds import generator
from unseen.stored import passing, weighted_to

__all__ = ["at_mixture", "set_apart", "thinned", "worth"]

FEWEST = 100  # selected events of a process
WORTH = 100.0  # data sets of injected signal events: their common fluctuation is a tenth of a data set's own


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
    selected = passing(events)
    for name in (name for name, share in mixture.items() if share > 0):
        n = 0
        if name in events.label_names:
            n = int(np.count_nonzero(selected & (events.label == events.label_names.index(name))))
        if n < FEWEST:
            raise NotEnoughEventsError(
                f"{n} selected events of '{name}' are set apart for the nuisance parameters, at least {FEWEST} are "
                "needed: provide more, or raise systematics.share"
            )
    return weighted_to(mixture, events)


def thinned(events: Events, rng: np.random.Generator) -> Events:
    """A random part of the events, each kept with a probability in proportion to its weight; their weights are 1."""
    kept = events[rng.random(len(events)) * events.weight.max(initial=0.0) < events.weight]
    return replace(kept, weight=np.ones(len(kept)))


def worth(events: Events, expected: float, rng: np.random.Generator) -> Events:
    """A random part of the events, in their order, of which about 100 times `expected` are selected; or all."""
    needed = WORTH * expected / max(1, int(np.count_nonzero(passing(events))))
    if needed >= 1.0:
        return events
    return events[np.sort(rng.permutation(len(events))[: round(needed * len(events))])]
