"""Where things are in the slots of a schema, and what every change of objects must keep: thresholds, order, balance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from unseen.errors import SchemaError, did_you_mean
from unseen.events import Schema

__all__ = ["MET", "Layout", "for_collections", "wrap"]

MET = "met"
T = TypeVar("T")


def wrap(phi: Tensor) -> Tensor:
    """Angles brought to [-pi, pi)."""
    wrapped = torch.remainder(phi + math.pi, 2 * math.pi) - math.pi
    # The remainder of a tiny negative number rounds to the whole turn.
    return torch.where(wrapped >= math.pi, wrapped - 2 * math.pi, wrapped)


def for_collections(
    given: Mapping[str, T] | None, built_in: Mapping[str, T], schema: Schema, what: str
) -> dict[str, T]:
    """The settings of the collections of a schema, from those given or else the built-in ones.

    Errors: SchemaError (a given collection that the schema lacks, with a suggestion; or none left).
    """
    for name in given or ():
        if name == MET or not schema.has(name):
            names = [c.name for c in schema.collections if c.name != MET]
            raise SchemaError(f"{what}: no objects '{name}' in schema '{schema.name}'{did_you_mean(name, names)}")
    chosen = built_in if given is None else given
    result = {c.name: chosen[c.name] for c in schema.collections if c.name in chosen and c.name != MET}
    if not result:
        raise SchemaError(
            f"{what}: nothing to do in schema '{schema.name}', whose collections are "
            f"{', '.join(c.name for c in schema.collections)}: name some in the settings"
        )
    return result


class Layout(nn.Module):
    """The columns of pt, eta and phi, and for every slot its thresholds and whether it is an object or the MET."""

    pt_min: Tensor
    eta_max: Tensor
    visible: Tensor

    def __init__(self, schema: Schema):
        super().__init__()
        self.pt, self.eta, self.phi = (schema.feature(name) for name in ("pt", "eta", "phi"))
        self.n_slots = schema.n_slots
        self.collections = {c.name: schema.slots(c.name) for c in schema.collections}
        self.met = schema.slots(MET).start if schema.has(MET) else None
        pt_min, eta_max = zip(*(_thresholds(schema, c.name) for c in schema.collections), strict=True)
        self._buffer("pt_min", self.per_slot(dict(zip(self.collections, pt_min, strict=True)), 0.0))
        self._buffer("eta_max", self.per_slot(dict(zip(self.collections, eta_max, strict=True)), math.inf))
        self._buffer("visible", self.slots_of(name for name in self.collections if name != MET))

    def _buffer(self, name: str, value: Tensor) -> None:
        # Not part of the state: it follows from the schema.
        self.register_buffer(name, value, persistent=False)

    def per_slot(self, values: Mapping[str, float], default: float) -> Tensor:
        """One number of each collection on its slots, (slots,)."""
        result = torch.full((self.n_slots,), default)
        for name, value in values.items():
            result[self.collections[name]] = value
        return result

    def slots_of(self, names: Iterable[str]) -> Tensor:
        """Which slots belong to these collections, bool (slots,)."""
        return self.per_slot(dict.fromkeys(names, 1.0), 0.0) > 0

    def tidy(self, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Without objects below threshold, in descending pt.

        A reconstructed event has no objects below the thresholds of its schema (acceptance, and object selection where
        it is tighter); one that a view has moved below would give the view away.
        """
        inside = (objects[..., self.pt] > self.pt_min) & (objects[..., self.eta].abs() < self.eta_max)
        return self.sort(objects, present & (inside | ~self.visible))

    def sort(self, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Every collection in descending pt, absent objects last and 0."""
        key = torch.where(present, objects[..., self.pt], -1.0)
        order = torch.cat(
            [
                key[:, slots].argsort(dim=1, descending=True, stable=True) + slots.start
                for slots in self.collections.values()
            ],
            dim=1,
        )
        present = present.gather(1, order)
        objects = objects.gather(1, order[..., None].expand_as(objects))
        return torch.where(present[..., None], objects, 0.0), present

    def momentum(self, objects: Tensor, present: Tensor) -> Tensor:
        """Vector sum (b, 2) of the transverse momenta of all objects but the MET, GeV."""
        pt, phi = torch.where(present & self.visible, objects[..., self.pt], 0.0), objects[..., self.phi]
        return torch.stack([(pt * phi.cos()).sum(dim=1), (pt * phi.sin()).sum(dim=1)], dim=1)

    def add_to_met(self, objects: Tensor, present: Tensor, change: Tensor) -> Tensor:
        """Objects with `change` (b, 2) in GeV added to the MET vector, where an event has one."""
        if self.met is None:
            return objects
        pt, phi = objects[:, self.met, self.pt], objects[:, self.met, self.phi]
        x, y = pt * phi.cos() + change[:, 0], pt * phi.sin() + change[:, 1]
        # Where nothing changes, not a bit of the MET does.
        moved = present[:, self.met] & (change != 0).any(dim=1)
        result = objects.clone()
        result[:, self.met, self.pt] = torch.where(moved, torch.hypot(x, y), pt)
        result[:, self.met, self.phi] = torch.where(moved, wrap(torch.atan2(y, x)), phi)
        return result

    def balance(self, before: tuple[Tensor, Tensor], objects: Tensor, present: Tensor) -> Tensor:
        """Objects with a MET that takes up the change of momentum since `before`: the MET is minus what is measured."""
        return self.add_to_met(objects, present, self.momentum(*before) - self.momentum(objects, present))

    def spare_one(self, keep: Tensor, present: Tensor, score: Tensor) -> Tensor:
        """`keep`, and of events that would lose all their objects the one with the highest score (b, slots)."""
        there = present & self.visible
        best = torch.where(there, score, -math.inf).argmax(dim=1, keepdim=True)
        lost = there.any(dim=1, keepdim=True) & ~(keep & there).any(dim=1, keepdim=True)
        return keep | (lost & torch.zeros_like(keep).scatter(1, best, True))


def _thresholds(schema: Schema, name: str) -> tuple[float, float]:
    """Lowest pt in GeV and largest |eta|: the tighter of what is stored and what the selection keeps."""
    cuts = [schema.collection(name)] + ([schema.selection.objects[name]] if name in schema.selection.objects else [])
    edges = [cut.abs_eta_max for cut in cuts if cut.abs_eta_max is not None]
    return max(cut.pt_min for cut in cuts), min(edges, default=math.inf)
