"""Training data in memory as tensors: batches are slices of rows, in an order that depends on (seed, epoch) only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.embed.labels import Labelling
from unseen.errors import NegativeWeightError, NotEnoughEventsError, WeightError
from unseen.events import Events
from unseen.seeds import generator
from unseen.views import Viewed

__all__ = ["Balance", "Batch", "Batches", "epoch_order", "loss_weights", "split_by_source"]

Balance = Literal["natural", "sampler", "weights"]


@dataclass(frozen=True)
class Batch:
    """b rows: objects (b, slots, features) in physical units, present (b, slots), target, weight, instance (b,).

    * instance: the row of the event in the training sample; views of one event share it
    * levels (b, L): the class at every level of a label hierarchy, from the coarsest to the target
    * view (b,): which view of its event a row is, from 0
    * anomalous (b,): whether the row was made unlike any training event (negatives of `anomclr`)
    * parameters (b, k): what the views did, k = 0 without views
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
class Batches:
    """One pass over the rows `order` (m,) of the data in nearly equal batches of about `batch_size`; iterable again."""

    data: Batch
    order: Tensor
    batch_size: int

    def __len__(self) -> int:
        return max(1, round(len(self.order) / self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        for index in torch.tensor_split(self.order, len(self)):
            yield self.data.rows(index)


def epoch_order(target: NDArray[np.int64], balance: Balance, power: float, rng: np.random.Generator) -> Tensor:
    """The rows of one epoch in random order, as many as there are events.

    With `balance="sampler"` class c gets a share of the rows in proportion to its frequency to the `power` (0 = equal
    shares); its events are then repeated, or left out in turn, as evenly as possible.
    """
    if balance != "sampler":
        return torch.from_numpy(rng.permutation(len(target)))
    counts = np.bincount(target)
    share = np.where(counts > 0, counts.clip(1) ** power, 0.0)
    ends = np.round(len(target) * np.cumsum(share / share.sum())).astype(int)
    wanted = np.diff(ends, prepend=0)
    drawn = [_draw(np.flatnonzero(target == c), wanted[c], rng) for c in np.flatnonzero(counts)]
    return torch.from_numpy(rng.permutation(np.concatenate(drawn)))


def _draw(rows: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rounds = [rng.permutation(rows) for _ in range(-(-wanted // len(rows)))]
    return np.concatenate(rounds)[:wanted] if rounds else rows[:0]


def loss_weights(
    events: Events, target: NDArray[np.int64], balance: Balance, power: float, use_event_weights: bool
) -> NDArray[np.float64]:
    """The weight of every event in the loss, at mean 1.

    natural: the event weight. sampler: the event weight at mean 1 within its class, because the sampler sets the
    shares. weights: the same, times what gives class c a share in proportion to its frequency to the `power`.
    Errors: NegativeWeightError, WeightError (a class without weight).
    """
    weight = events.weight.astype(np.float64) if use_event_weights else np.ones(len(events))
    if (weight < 0).any():
        raise NegativeWeightError(
            f"{int((weight < 0).sum())} training events have a negative weight; set event_weights: false to ignore them"
        )
    counts = np.bincount(target).clip(1)
    sums = np.bincount(target, weight)
    if (sums[np.unique(target)] <= 0).any():
        raise WeightError(f"training class {int(np.argmin(sums))} has zero total weight")
    if balance == "natural":
        return np.asarray(weight / weight.mean())
    weight = weight * (counts / sums)[target]
    if balance == "weights":
        weight = weight * (counts ** (power - 1.0))[target]
    return np.asarray(weight / weight.mean())


def split_by_source(events: Events, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and for validation; rows that share `record["source"]` stay together.

    Without a source every row counts as its own. Errors: NotEnoughEventsError if a side would be empty.
    """
    rows = np.arange(len(events))
    if fraction == 0.0:
        return rows, rows[:0]
    sources, group = np.unique(events.record.get("source", rows), return_inverse=True)
    held = generator(seed, "train", "validation").permutation(len(sources)) < round(fraction * len(sources))
    if held.all() or not held.any():
        raise NotEnoughEventsError(
            f"{len(sources)} independent training events cannot be split with validation_fraction {fraction:g}"
        )
    return rows[~held[group]], rows[held[group]]
