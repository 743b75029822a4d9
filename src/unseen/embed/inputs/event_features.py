"""Features of the whole event: what an analyst would look at, as tensor operations."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unseen.embed.inputs.kinematics import MET, log_mass, pair_features
from unseen.events import Schema
from unseen.events.observables import LEPTONS

__all__ = ["EventFeatures"]

JETS = "jets"
# Leading objects of a collection whose pairs are features: three jets, two of every other kind.
LEADING = {JETS: 3}
OTHERWISE = 2


class _Columns(NamedTuple):
    values: list[Tensor]  # each (b, columns)
    defined: list[Tensor]

    def add(self, value: Tensor, defined: Tensor) -> None:
        self.values.append(value)
        self.defined.append(defined)


class EventFeatures(nn.Module):
    """Objects (b, slots, 3) as (pt, eta, phi), 0 where absent, and present (b, slots) -> (b, k) and defined (b, k).

    * the number of objects of every collection but the missing momentum
    * log(1 + sum of pt) of the jets (HT), of the leptons, and log(1 + pt of the leptons and the missing momentum)
    * log m of all leptons, of all jets, of all visible objects
    * log m and delta R of all pairs among the leading objects of the collections
    * transverse mass with the missing momentum, and cosine of the angle to it, of the same leading objects

    Masses and momenta are in GeV; objects count as massless. Leading is by pt, whatever the order of the slots.
    `kinds` (k names) says which columns measure the same quantity: they share one scale, so that a pair that hardly
    occurs in the training sample is fed on the scale of those that do.
    """

    def __init__(self, schema: Schema):
        super().__init__()
        names = [c.name for c in schema.collections if c.name != MET]
        self.slots = {name: schema.slots(name) for name in names}
        self.leading = {name: min(schema.collection(name).slots, LEADING.get(name, OTHERWISE)) for name in names}
        self.met = schema.slots(MET).start if schema.has(MET) else None
        self.leptons = [name for name in names if name in LEPTONS]
        pairs = list(combinations(range(sum(self.leading.values())), 2))
        self.first, self.second = [i for i, _ in pairs], [j for _, j in pairs]
        self.kinds = self._kinds(names)

    def _kinds(self, names: list[str]) -> tuple[str, ...]:
        kinds = [f"number of {name}" for name in names]
        for group in self._groups():
            kinds += [f"sum of pt of {group}", f"log m of {group}"]
        if self.leptons and self.met is not None:
            kinds.append("pt of leptons and met")
        kinds += ["log m of pairs"] * len(self.first) + ["delta R of pairs"] * len(self.first)
        if self.met is not None:
            count = sum(self.leading.values())
            kinds += ["transverse mass"] * count + ["cosine to met"] * count
        return tuple(kinds)

    def _groups(self) -> dict[str, list[str]]:
        groups = {"leptons": self.leptons, JETS: [n for n in self.slots if n == JETS], "objects": list(self.slots)}
        return {name: members for name, members in groups.items() if members}

    def forward(self, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Values and whether they are defined; both (b, k)."""
        columns = _Columns([], [])
        for at in self.slots.values():
            number = present[:, at].to(objects.dtype).sum(1, keepdim=True)
            columns.add(number, torch.ones_like(number, dtype=torch.bool))
        self._add_sums(columns, objects, present)
        leaders, there = self._leaders(objects, present)
        if self.first:
            self._add_pairs(columns, leaders, there)
        if self.met is not None and self.leading:
            self._add_met(columns, leaders, there, objects[:, self.met], present[:, self.met])
        return torch.cat(columns.values, dim=1), torch.cat(columns.defined, dim=1)

    def _add_sums(self, columns: _Columns, objects: Tensor, present: Tensor) -> None:
        pt, eta, phi = objects.unbind(-1)
        px, py, pz, energy = pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta), pt * torch.cosh(eta)
        for members in self._groups().values():
            total = [_sum(x, [self.slots[name] for name in members]) for x in (pt, px, py, pz, energy)]
            scalar, x, y, z, e = total
            some = _sum(present.to(pt.dtype), [self.slots[name] for name in members])
            columns.add(torch.log1p(scalar), some > 0)
            columns.add(log_mass(e.square() - x.square() - y.square() - z.square()), some > 1)
        if self.leptons and self.met is not None:
            at = [self.slots[name] for name in self.leptons]
            met = self.met
            x, y = _sum(px, at) + px[:, met : met + 1], _sum(py, at) + py[:, met : met + 1]
            defined = (_sum(present.to(pt.dtype), at) > 0) & present[:, met : met + 1]
            columns.add(log_mass(x.square() + y.square()), defined)

    def _leaders(self, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The leading objects (b, l, 3) of all collections, and whether they exist (b, l)."""
        found, there = [], []
        for name, at in self.slots.items():
            # Absent objects last, also behind one whose pt is 0.
            order = torch.topk(torch.where(present[:, at], objects[:, at, 0], -1.0), self.leading[name], dim=1).indices
            found.append(objects[:, at].gather(1, order[..., None].expand(-1, -1, 3)))
            there.append(present[:, at].gather(1, order))
        return torch.cat(found, dim=1), torch.cat(there, dim=1)

    def _add_pairs(self, columns: _Columns, leaders: Tensor, there: Tensor) -> None:
        none = torch.zeros((), dtype=torch.bool, device=leaders.device)
        pairs = pair_features(leaders[:, self.first], leaders[:, self.second], none)
        both = there[:, self.first] & there[:, self.second]
        for quantity in pairs.unbind(-1):
            columns.add(quantity, both)

    def _add_met(self, columns: _Columns, leaders: Tensor, there: Tensor, met: Tensor, met_there: Tensor) -> None:
        both = there & met_there[:, None]
        mass = pair_features(leaders, met[:, None].expand_as(leaders), torch.ones_like(there))[..., 0]
        columns.add(mass, both)
        columns.add(torch.cos(leaders[..., 2] - met[:, None, 2]), both)


def _sum(x: Tensor, slots: list[slice]) -> Tensor:
    """Sum over the slots of some collections, (b, slots) -> (b, 1)."""
    return torch.cat([x[:, at] for at in slots], dim=1).sum(1, keepdim=True)
