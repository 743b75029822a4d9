"""A batch of events on its way through distortions, and the few things that a distortion may do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from unseen.errors import NuisanceError, did_you_mean
from unseen.events import Schema
from unseen.systematics import noise
from unseen.views.layout import Layout

__all__ = ["Batch", "start"]


@dataclass(frozen=True, eq=False)
class Batch:
    """b events. A distortion returns a new one from the methods; nothing is changed in place.

    * objects (b, slots, features), present (b, slots): as distorted so far; `nominal`, `nominal_present`: before
    * met_shift (b, 2): what the MET vector takes up, GeV; applied once, after the last distortion
    * log_weight (b,): logarithm of the factor on the event weight
    * columns: record columns that nuisances asked for, and `label`; classes: the label names
    """

    schema: Schema
    layout: Layout
    nominal: Tensor
    nominal_present: Tensor
    objects: Tensor
    present: Tensor
    met_shift: Tensor
    log_weight: Tensor
    keys: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.objects)

    def get(self, collection: str, feature: str, nominal: bool = False) -> Tensor:
        """A feature of a collection, (b, its slots); absent objects 0. Errors: SchemaError."""
        slots, objects = self.schema.slots(collection), self.nominal if nominal else self.objects
        return torch.where(self.has(collection, nominal), objects[:, slots, self.schema.feature(feature)], 0.0)

    def has(self, collection: str, nominal: bool = False) -> Tensor:
        """Which slots of a collection are filled, (b, its slots)."""
        return (self.nominal_present if nominal else self.present)[:, self.schema.slots(collection)]

    def scale_pt(self, collection: str, log_factor: Tensor, met: bool = True) -> Batch:
        """pt times exp(log_factor), (b, its slots) or (b, 1); the MET takes up the change unless `met` is false."""
        pt, phi = self.get(collection, "pt"), self.get(collection, "phi")
        change = pt * torch.expm1(log_factor)
        result = self.objects.clone()
        # Where nothing changes 0 is added: not a bit differs.
        result[:, self.schema.slots(collection), self.layout.pt] += change
        after = replace(self, objects=result)
        if not met:
            return after
        return after.shift_met(-torch.stack([(change * phi.cos()).sum(1), (change * phi.sin()).sum(1)], dim=1))

    def shift_met(self, change: Tensor) -> Batch:
        """Add a vector (b, 2) in GeV to the MET; nothing happens in schemas without MET."""
        return replace(self, met_shift=self.met_shift + change)

    def reweight(self, log_factor: Tensor) -> Batch:
        """Weights times exp(log_factor), (b,)."""
        return replace(self, log_weight=self.log_weight + log_factor)

    def met(self) -> Tensor:
        """The nominal MET vector (b, 2) in GeV; SchemaError in schemas without MET."""
        pt, phi = (self.get("met", name, nominal=True)[:, 0] for name in ("pt", "phi"))
        return torch.stack([pt * phi.cos(), pt * phi.sin()], dim=1)

    def visible(self) -> Tensor:
        """Vector sum (b, 2) of the nominal transverse momenta of all objects but the MET, GeV."""
        total = self.met_shift.new_zeros((len(self), 2))
        for collection in self.schema.collections:
            if collection.name != "met":
                pt, phi = (self.get(collection.name, name, nominal=True) for name in ("pt", "phi"))
                total = total + torch.stack([(pt * phi.cos()).sum(1), (pt * phi.sin()).sum(1)], dim=1)
        return total

    def uniform(self, stream: str, count: int) -> Tensor:
        """Numbers in (0, 1) that belong to the event, whatever nu is, (b, count)."""
        return noise.uniform(self.keys, stream, count)

    def normal(self, stream: str, count: int) -> Tensor:
        """Standard normal numbers that belong to the event, whatever nu is, (b, count)."""
        return noise.normal(self.keys, stream, count)

    def column(self, name: str, who: str) -> Tensor:
        """A record column. Errors: NuisanceError (it was not given)."""
        if name not in self.columns:
            raise NuisanceError(
                f"nuisance '{who}' needs the column '{name}' of the events' record{did_you_mean(name, self.columns)}"
            )
        return self.columns[name]


def start(
    schema: Schema,
    objects: Tensor,
    present: Tensor,
    columns: Mapping[str, Tensor] | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> Batch:
    """The batch before any distortion."""
    layout = Layout(schema)
    zeros = objects.new_zeros((len(objects), 2))
    return Batch(
        schema=schema,
        layout=layout,
        nominal=objects,
        nominal_present=present,
        objects=objects,
        present=present,
        met_shift=zeros,
        log_weight=zeros[:, 0],
        keys=noise.event_keys(objects[..., layout.pt], objects[..., layout.phi], present, seed),
        columns=dict(columns or {}),
        classes=tuple(classes),
    )
