"""Training data as columns: batches are gathered by index, in an order that depends on (seed, epoch) only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.embed.labels import Labelling
from unseen.embed.mapped import Handle, as_handle
from unseen.errors import NegativeWeightError, NotEnoughEventsError, WeightError
from unseen.events import Events
from unseen.seeds import generator
from unseen.views import Viewed

__all__ = ["Balance", "Batch", "Batches", "Table", "class_draws", "epoch_order", "loss_weights", "split_by_source"]

Balance = Literal["natural", "sampler", "weights"]


@dataclass(frozen=True)
class Batch:
    """b rows: objects (b, slots, features) in physical units, present (b, slots), target, weight, instance (b,).

    * instance: the row of the event in the training sample; views of one event share it
    * levels (b, L): the class at every level of a label hierarchy, from the coarsest to the target
    * view (b,): which view of its event a row is, from 0
    * anomalous (b,): whether the row was made unlike any training event (negatives of `anomclr`)
    * parameters (b, k): what the views did, k = 0 without views
    * family (b,): which family of anomalies a row was made into, -1 for known events
    """

    objects: Tensor
    present: Tensor
    target: Tensor
    weight: Tensor
    instance: Tensor
    levels: Tensor
    view: Tensor
    anomalous: Tensor
    parameters: Tensor
    family: Tensor

    @classmethod
    def of(cls, events: Events, labelling: Labelling, weight: NDArray[np.float64]) -> Batch:
        """All events as one batch of tensors."""
        n = len(events)
        return cls(
            torch.tensor(events.objects),
            torch.tensor(events.present),
            torch.tensor(labelling.target),
            torch.tensor(weight, dtype=torch.float32),
            torch.arange(n),
            torch.tensor(labelling.levels),
            torch.zeros(n, dtype=torch.long),
            torch.zeros(n, dtype=torch.bool),
            torch.zeros(n, 0),
            torch.full((n,), -1),
        )

    def seen(self, viewed: Viewed, view: int, anomalous: bool = False) -> Batch:
        """The same events as one view shows them."""
        return replace(
            self,
            objects=viewed.objects,
            present=viewed.present,
            parameters=viewed.parameters,
            view=torch.full_like(self.view, view),
            anomalous=torch.full_like(self.anomalous, anomalous),
        )

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The rows of all parts, one part after the other."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, index: Tensor) -> Batch:
        """The events at these rows."""
        return Batch(*(getattr(self, field.name).index_select(0, index) for field in fields(self)))

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class Table:
    """Some events of a sample for training: the columns of the whole sample, and which of its rows these are.

    objects (n, slots, features) and present (n, slots) may be memory-mapped: nothing is copied before a batch is
    gathered. target int64 (n,), levels int64 (n, L), weight float64 (n,); rows int64 (m,): the m events.
    """

    objects: NDArray[np.float32]
    present: NDArray[np.bool_]
    target: NDArray[np.int64]
    levels: NDArray[np.int64]
    weight: NDArray[np.float64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int64]:
        """The classes of these events, (m,)."""
        return self.target[self.rows]

    def of(self, rows: NDArray[np.int64]) -> Table:
        """Other rows of the same sample."""
        return replace(self, rows=rows)

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """The events `index` (b,) of these, copied; `instance` is the row in the sample."""
        at = self.rows[index]
        objects, present, target, levels, weight = (
            torch.from_numpy(np.take(column, at, axis=0))
            for column in (self.objects, self.present, self.target, self.levels, self.weight)
        )
        n = len(at)
        return Batch(
            objects,
            present,
            target,
            weight.float(),
            torch.from_numpy(at),
            levels,
            torch.zeros(n, dtype=torch.long),
            torch.zeros(n, dtype=torch.bool),
            torch.zeros(n, 0),
            torch.full((n,), -1),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Maps travel to other processes as file names, never as their content."""
        return {f.name: as_handle(getattr(self, f.name)) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value.open() if isinstance(value, Handle) else value)


@dataclass(frozen=True)
class Batches:
    """One pass over the events `order` (m,) of the table in nearly equal batches of about `batch_size`.

    With `parts` processes the batches are shared: this one, number `part`, gets its slice of each, and all slices of
    a batch are equally long (up to `parts - 1` of its events are left out).
    """

    data: Table
    order: NDArray[np.int64]
    batch_size: int
    part: int = 0
    parts: int = 1

    def __len__(self) -> int:
        return max(1, round(len(self.order) / self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        for index in np.array_split(self.order, len(self)):
            size = len(index) // self.parts
            yield self.data.batch(index[self.part * size : (self.part + 1) * size])


def epoch_order(
    target: NDArray[np.int64], balance: Balance, power: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The rows of one epoch in random order, as many as there are events.

    With `balance="sampler"` class c gets a share of the rows in proportion to its frequency to the `power` (0 = equal
    shares); its events are then repeated, or left out in turn, as evenly as possible.
    """
    if balance != "sampler":
        return rng.permutation(len(target))
    counts, wanted = np.bincount(target), class_draws(target, balance, power)
    drawn = [_draw(np.flatnonzero(target == c), wanted[c], rng) for c in np.flatnonzero(counts)]
    return rng.permutation(np.concatenate(drawn))


def class_draws(target: NDArray[np.int64], balance: Balance, power: float) -> NDArray[np.int64]:
    """How many rows of an epoch are of each class, (classes,): those of `epoch_order`."""
    counts = np.bincount(target)
    if balance != "sampler":
        return counts
    share = np.where(counts > 0, counts.clip(1) ** power, 0.0)
    ends = np.round(len(target) * np.cumsum(share / share.sum())).astype(np.int64)
    return np.diff(ends, prepend=0)


def _draw(rows: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rounds = [rng.permutation(rows) for _ in range(-(-wanted // len(rows)))]
    return np.concatenate(rounds)[:wanted] if rounds else rows[:0]


def loss_weights(
    weight: NDArray[np.float64], target: NDArray[np.int64], balance: Balance, power: float
) -> NDArray[np.float64]:
    """The weight of every event in the loss, at mean 1, from its `weight` (n,) and class `target` (n,).

    natural: the event weight. sampler: the event weight at mean 1 within its class, because the sampler sets the
    shares. weights: the same, times what gives class c a share in proportion to its frequency to the `power`.
    Errors: NegativeWeightError, WeightError (a class without weight).
    """
    if (weight < 0).any():
        raise NegativeWeightError(
            f"{int((weight < 0).sum())} training events have a negative weight; set event_weights: false to ignore them"
        )
    counts = np.bincount(target).clip(1)
    sums = np.bincount(target, weight)
    used = np.unique(target)
    if (sums[used] <= 0).any():
        raise WeightError(f"training class {int(used[np.argmin(sums[used])])} has zero total weight")
    if balance == "natural":
        return np.asarray(weight / weight.mean())
    # A class that no event here has leaves 0/0, which no event takes.
    weight = weight * (counts / np.where(sums > 0, sums, 1.0))[target]
    if balance == "weights":
        weight = weight * (counts ** (power - 1.0))[target]
    return np.asarray(weight / weight.mean())


def split_by_source(
    events: Events, fraction: float, seed: int, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and for validation, of all or of `rows`; rows that share `record["source"]` stay together.

    Without a source every row counts as its own. Errors: NotEnoughEventsError if a side would be empty.
    """
    rows = np.arange(len(events)) if rows is None else rows
    if fraction == 0.0:
        return rows, rows[:0]
    # By position without a source, so that a part of a sample splits as it would by itself.
    source = events.record["source"][rows] if "source" in events.record else np.arange(len(rows))
    sources, group = np.unique(source, return_inverse=True)
    held = generator(seed, "train", "validation").permutation(len(sources)) < round(fraction * len(sources))
    if held.all() or not held.any():
        raise NotEnoughEventsError(
            f"{len(sources)} independent training events cannot be split with validation_fraction {fraction:g}"
        )
    return rows[~held[group]], rows[held[group]]
