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
from unseen.embed.partners import Partners
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
    * origin: what counts as one event; `instance`, or with re-simulated partners the first row of the generated event
    * levels (b, L): the class at every level of a label hierarchy, from the coarsest to the target
    * view (b,): which view of its event a row is, from 0
    * anomalous (b,): whether the row was made unlike any training event (negatives of `anomclr`)
    * parameters (b, k): what the views did, k = 0 without views
    * family (b,): which family of anomalies a row was made into, -1 for known events
    * partner_objects (b, P, slots, features), partner_present (b, P, slots): what later views are of, in place of the
      event; P = 0 without re-simulated partners, and in what an objective sees
    """

    objects: Tensor
    present: Tensor
    target: Tensor
    weight: Tensor
    instance: Tensor
    origin: Tensor
    levels: Tensor
    view: Tensor
    anomalous: Tensor
    parameters: Tensor
    family: Tensor
    partner_objects: Tensor
    partner_present: Tensor

    @classmethod
    def unviewed(
        cls, objects: Tensor, present: Tensor, target: Tensor, weight: Tensor, instance: Tensor, levels: Tensor
    ) -> Batch:
        """Events as they are: no views, no partners."""
        n, slots, features = objects.shape
        return cls(
            objects,
            present,
            target,
            weight,
            instance,
            instance,
            levels,
            torch.zeros(n, dtype=torch.long),
            torch.zeros(n, dtype=torch.bool),
            torch.zeros(n, 0),
            torch.full((n,), -1),
            torch.zeros(n, 0, slots, features),
            torch.zeros(n, 0, slots, dtype=torch.bool),
        )

    @classmethod
    def of(cls, events: Events, labelling: Labelling, weight: NDArray[np.float64]) -> Batch:
        """All events as one batch of tensors."""
        return cls.unviewed(
            torch.tensor(events.objects),
            torch.tensor(events.present),
            torch.tensor(labelling.target),
            torch.tensor(weight, dtype=torch.float32),
            torch.arange(len(events)),
            torch.tensor(labelling.levels),
        )

    def shown(self, view: int) -> tuple[Tensor, Tensor]:
        """What a view is of, objects and mask: the event for view 0; partner i - 1, where there are any, for view i."""
        if view == 0 or not self.partner_objects.shape[1]:
            return self.objects, self.present
        return self.partner_objects[:, view - 1], self.partner_present[:, view - 1]

    def alone(self) -> Batch:
        """The same events without partners."""
        return replace(self, partner_objects=self.partner_objects[:, :0], partner_present=self.partner_present[:, :0])

    def seen(self, viewed: Viewed, view: int, anomalous: bool = False) -> Batch:
        """The same events as one view shows them."""
        return replace(
            self.alone(),
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
    gathered. target int64 (n,), levels int64 (n, L), weight float64 (n,); rows int64 (m,): the m events. partners:
    which of them are simulations of one generated event, where batches hold re-simulated partners.
    """

    objects: NDArray[np.float32]
    present: NDArray[np.bool_]
    target: NDArray[np.int64]
    levels: NDArray[np.int64]
    weight: NDArray[np.float64]
    rows: NDArray[np.int64]
    partners: Partners | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int64]:
        """The classes of these events, (m,)."""
        return self.target[self.rows]

    def of(self, rows: NDArray[np.int64], partners: Partners | None = None) -> Table:
        """Other rows of the same sample, and the partners among them."""
        return replace(self, rows=rows, partners=partners)

    def batch(self, index: NDArray[np.int64], drawn: NDArray[np.int64] | None = None) -> Batch:
        """The events `index` (b,) of these, copied, with the partners `drawn` (b, P) of these for them.

        `instance` is the row in the sample.
        """
        at = self.rows[index]
        objects, present, target, levels, weight = (
            torch.from_numpy(np.take(column, at, axis=0))
            for column in (self.objects, self.present, self.target, self.levels, self.weight)
        )
        batch = Batch.unviewed(objects, present, target, weight.float(), torch.from_numpy(at), levels)
        if drawn is None or self.partners is None:
            return batch
        there = self.rows[drawn]
        return replace(
            batch,
            origin=torch.from_numpy(self.rows[self.partners.origin(index)]),
            partner_objects=torch.from_numpy(np.take(self.objects, there, axis=0)),
            partner_present=torch.from_numpy(np.take(self.present, there, axis=0)),
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
    a batch are equally long (up to `parts - 1` of its events are left out). Re-simulated partners depend on `seed` and
    the number of the batch only, however many processes share it.
    """

    data: Table
    order: NDArray[np.int64]
    batch_size: int
    part: int = 0
    parts: int = 1
    seed: int = 0

    def __len__(self) -> int:
        return max(1, round(len(self.order) / self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        partners = self.data.partners
        for number, index in enumerate(np.array_split(self.order, len(self))):
            size = len(index) // self.parts
            mine = slice(self.part * size, (self.part + 1) * size)
            drawn = None if partners is None else partners.draw(index, generator(self.seed, "partners", number))[mine]
            yield self.data.batch(index[mine], drawn)


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
