"""What a label encoding is: from an event's simulation record and kinematics to the classes of a training."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unseen.embed.labels.factor import Factor
from unseen.embed.labels.tree import classify
from unseen.events import Events
from unseen.registry import NamedConfig, resolve

__all__ = ["LabelConfig", "Labelling", "encode", "label_config", "part"]


@dataclass(frozen=True)
class Labelling:
    """The class of every event: `target` int64 (n,), an index into `names`. Every name occurs at least once.

    `levels` int64 (n, L) holds a class of the event at every level of a hierarchy, from the coarsest to `target`
    itself, for objectives that grade similarity; without a hierarchy it is the target alone. `level_names` (L,) says
    what each level adds.
    """

    target: NDArray[np.int64]
    names: tuple[str, ...]
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    level_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.levels.shape[1] == 0:
            object.__setattr__(self, "levels", self.target[:, None])

    def of(self, rows: NDArray[np.int64]) -> Labelling:
        """The classes of these events; a name may then be without events."""
        return Labelling(self.target[rows], self.names, self.levels[rows], self.level_names)


class LabelConfig(NamedConfig):
    """Settings of one label encoding: what tells classes apart, and what happens to classes with few events."""

    least: int = Field(default=1, gt=0, description="Fewest events of a class.")
    rare: Literal["merge", "error"] = Field(
        default="merge",
        description="Classes with fewer events. merge: bins join the adjacent bin, lepton flavours `other` or the most "
        "frequent one, inside their process; a process is never merged silently. error: refuse them.",
    )

    @property
    def truths(self) -> tuple[str, ...]:
        """Names of the simulation record that this encoding may ask for."""
        return ()

    @abstractmethod
    def factors(self, events: Events) -> tuple[Factor, ...]:
        """What the classes are made of, from coarse to fine; SchemaError if the events lack what it needs."""

    def encode(self, events: Events) -> Labelling:
        """The class of every event and its classes at every coarser level.

        Errors: SchemaError, UnknownNameError (the events lack what it needs), NotEnoughEventsError.
        """
        levels, names, level_names = classify(self.factors(events), len(events), self.least, self.rare == "merge")
        return Labelling(levels[:, -1], names, levels, level_names)


def label_config(value: Any) -> Any:
    """A label encoding from its name, or from a mapping with `name`; UnknownNameError with a suggestion."""
    from unseen.embed.labels import LABELS  # the registry holds encodings that are made of others

    return resolve(value, LABELS, "label encoding")


def part(value: Any) -> Any:
    """A label encoding inside another one; ValueError if it sets `least` or `rare`, which count for the whole."""
    config = label_config(value)
    if isinstance(config, LabelConfig):
        for name in ("least", "rare"):
            if getattr(config, name) != type(config).model_fields[name].default:
                raise ValueError(
                    f"'{name}' is set for the whole encoding, not inside '{config.name}': move it outwards"
                )
    return config


def encode(events: Events, labels: Any) -> Labelling:
    """The classes of the events under a label encoding: a name, a mapping with `name`, or its settings."""
    config: LabelConfig = label_config(labels)
    return config.encode(events)
