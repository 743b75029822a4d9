"""Label encodings: from an event's simulation record and kinematics to the classes that training tells apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unseen.events import Events
from unseen.registry import lookup

__all__ = ["LABELS", "Labelling", "encode"]


@dataclass(frozen=True)
class Labelling:
    """The class of every event: `target` int64 (n,), an index into `names`. Every name occurs at least once.

    `levels` int64 (n, L) holds a class of the event at every level of a hierarchy, from the coarsest to `target`
    itself, for objectives that grade similarity; without a hierarchy it is the target alone.
    """

    target: NDArray[np.int64]
    names: tuple[str, ...]
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    def __post_init__(self) -> None:
        if self.levels.size == 0:
            object.__setattr__(self, "levels", self.target[:, None])

    def of(self, rows: NDArray[np.int64]) -> Labelling:
        """The classes of these events; a name may then be without events."""
        return Labelling(self.target[rows], self.names, self.levels[rows])


def no_labels(events: Events) -> Labelling:
    """Every event in the one class `all`, for self-supervised objectives."""
    return Labelling(np.zeros(len(events), dtype=np.int64), ("all",))


def process(events: Events) -> Labelling:
    """The process, as the events carry it; names without events are dropped."""
    used, target = np.unique(events.label, return_inverse=True)
    return Labelling(target.astype(np.int64), tuple(events.label_names[i] for i in used))


LABELS: dict[str, Callable[[Events], Labelling]] = {"none": no_labels, "process": process}


def encode(events: Events, name: str) -> Labelling:
    """The classes of the events under a label encoding; UnknownNameError with a suggestion."""
    return lookup(name, LABELS, "label encoding")(events)
