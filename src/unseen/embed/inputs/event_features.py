"""Features of the whole event: what an analyst would look at, as tensor operations."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from unseen.embed.inputs.kinematics import MET, hyperbolic, log_mass, pair_features
from unseen.events import Schema
from unseen.events.observables import LEPTONS

__all__ = ["EventFeatures"]

JETS = "jets"
# Leading objects of a collection whose pairs are features: three jets, two of every other kind.
LEADING = {JETS: 3}
OTHERWISE = 2

Block = tuple[Tensor, Tensor]  # values and whether they are defined, both (b, columns)


class EventFeatures(nn.Module):
    """Objects (b, slots, 3) as (pt, eta, phi), 0 where absent, and present (b, slots) -> (b, k) and defined (b, k).

    * the number of objects of every collection but the missing momentum
    * log(1 + sum of pt) and log m of all leptons, of all jets (the first is HT), and of all visible objects
    * log(1 + pt) of the leptons and the missing momentum together
    * log m and delta R of all pairs among the leading objects of the collections
    * transverse mass with the missing momentum, and cosine of the angle to it, of the same leading objects

    Masses and momenta are in GeV; objects count as massless. Leading is by pt, whatever the order of the slots.
    `kinds` (k names) says which columns measure the same quantity: they share one scale, so that a pair that hardly
    occurs in the training sample is fed on the scale of those that do.
    """

    members: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, schema: Schema):
        super().__init__()
        names = [c.name for c in schema.collections if c.name != MET]
        leptons = [name for name in names if name in LEPTONS]
        groups = {"leptons": leptons, JETS: [name for name in names if name == JETS], "objects": names}
        self.groups = {name: members for name, members in groups.items() if members}
        self.slots = {name: schema.slots(name) for name in names}
        self.leading = {name: min(schema.collection(name).slots, LEADING.get(name, OTHERWISE)) for name in names}
        self.met = schema.slots(MET).start if schema.has(MET) else None
        self.with_met = bool(leptons) and self.met is not None
        members = [[name] for name in names] + list(self.groups.values())
        table = np.array([np.isin(np.repeat(*_layout(schema)), group) for group in members], dtype=np.float32)
        pairs = list(combinations(range(sum(self.leading.values())), 2))
        for name, values in (
            ("members", torch.from_numpy(table.reshape(len(members), schema.n_slots).T.copy())),
            ("first", torch.tensor([i for i, _ in pairs], dtype=torch.long)),
            ("second", torch.tensor([j for _, j in pairs], dtype=torch.long)),
        ):
            self.register_buffer(name, values, persistent=False)
        self.kinds = self._kinds()

    def _kinds(self) -> tuple[str, ...]:
        kinds = [f"number of {name}" for name in self.slots]
        kinds += [f"sum of pt of {group}" for group in self.groups] + [f"log m of {group}" for group in self.groups]
        kinds += ["pt of leptons and met"] * self.with_met
        kinds += ["log m of pairs"] * len(self.first) + ["delta R of pairs"] * len(self.first)
        if self.met is not None:
            count = sum(self.leading.values())
            kinds += ["transverse mass"] * count + ["cosine to met"] * count
        return tuple(kinds)

    def forward(self, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Values and whether they are defined; both (b, k)."""
        blocks = self._sums(objects, present)
        if self.leading:
            leaders, there = self._leaders(objects, present)
            blocks += self._pairs(leaders, there)
            if self.met is not None:
                blocks += self._to_met(leaders, there, objects[:, self.met], present[:, self.met])
        return torch.cat([values for values, _ in blocks], dim=1), torch.cat([defined for _, defined in blocks], dim=1)

    def _sums(self, objects: Tensor, present: Tensor) -> list[Block]:
        """Multiplicities, and sums over all objects of a group."""
        pt, eta, phi = objects.unbind(-1)
        sinh, cosh = hyperbolic(eta)
        px, py = pt * torch.cos(phi), pt * torch.sin(phi)
        each = torch.stack([present.to(pt.dtype), pt, px, py, pt * sinh, pt * cosh], dim=1)
        count, scalar, x, y, z, energy = (each @ self.members).unbind(1)
        at = slice(len(self.slots), None)
        some, mass = count[:, at], log_mass(energy.square() - x.square() - y.square() - z.square())[:, at]
        blocks: list[Block] = [(count[:, : at.start], torch.ones_like(count[:, : at.start], dtype=torch.bool))]
        blocks += [(torch.log1p(scalar[:, at]), some > 0), (mass, some > 1)]
        if self.with_met:
            met = slice(self.met, (self.met or 0) + 1)
            first = slice(at.start, at.start + 1)  # the leptons are the first group
            recoil = (x[:, first] + px[:, met]).square() + (y[:, first] + py[:, met]).square()
            blocks.append((log_mass(recoil), (count[:, first] > 0) & present[:, met]))
        return blocks

    def _leaders(self, objects: Tensor, present: Tensor) -> Block:
        """The leading objects (b, l, 3) of all collections, and whether they exist (b, l)."""
        found, there = [], []
        for name, at in self.slots.items():
            # Absent objects last, also behind one whose pt is 0.
            pt = torch.where(present[:, at], objects[:, at, 0], torch.full((), -1.0, device=objects.device))
            order = torch.topk(pt, self.leading[name], dim=1).indices
            found.append(objects[:, at].gather(1, order[..., None].expand(-1, -1, 3)))
            there.append(present[:, at].gather(1, order))
        return torch.cat(found, dim=1), torch.cat(there, dim=1)

    def _pairs(self, leaders: Tensor, there: Tensor) -> list[Block]:
        one, other = leaders.index_select(1, self.first), leaders.index_select(1, self.second)
        both = there.index_select(1, self.first) & there.index_select(1, self.second)
        mass, distance = pair_features(one, other, torch.zeros_like(both)).unbind(-1)
        return [(mass, both), (distance, both)]

    def _to_met(self, leaders: Tensor, there: Tensor, met: Tensor, met_there: Tensor) -> list[Block]:
        both = there & met_there[:, None]
        mass = pair_features(leaders, met[:, None].expand_as(leaders), torch.ones_like(there))[..., 0]
        return [(mass, both), (torch.cos(leaders[..., 2] - met[:, None, 2]), both)]


def _layout(schema: Schema) -> tuple[list[str], list[int]]:
    """The collections and their numbers of slots."""
    return [c.name for c in schema.collections], [c.slots for c in schema.collections]
