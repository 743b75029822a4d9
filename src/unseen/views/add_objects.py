"""`add-objects`: more objects than the process makes: the multiplicity shift of arXiv:2301.04660, Sec. 3."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import MET, Layout, for_collections

__all__ = ["AddObjects", "AddObjectsConfig"]

# |eta| up to which objects are added where the schema sets no edge.
OPEN_ETA = 4.0


class AddObjectsConfig(ViewConfig):
    """Settings of `add-objects`."""

    name: Literal["add-objects"] = "add-objects"
    most: dict[str, int] | None = Field(
        default=None, description="Collection -> most objects added; null: all collections, up to the last free slot."
    )
    met: bool = Field(default=True, description="The MET balances what is added.")

    @property
    def n_parameters(self) -> int:
        """The number of objects added."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        built_in = {c.name: c.slots for c in schema.collections if c.name != MET}
        return AddObjects(Layout(schema), for_collections(self.most, built_in, schema, "add-objects"), self.met)


class AddObjects(View):
    """Fill a random number of free slots: uniform for each collection, at least one in all where a slot is free.

    pt is uniform from the collection's threshold to the highest pt of the event's objects (or twice the threshold, if
    that is more), eta uniform in the acceptance, phi uniform, further features 0. Parameter: a tenth of the number.
    """

    width: Tensor

    def __init__(self, layout: Layout, most: dict[str, int], met: bool):
        super().__init__()
        self.layout, self.most, self.follow = layout, most, met
        finite = torch.where(layout.eta_max.isfinite(), layout.eta_max, OPEN_ETA)
        self.register_buffer("width", finite, persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Add objects to every event."""
        new = self._places(present, generator)
        u = torch.rand((3, *present.shape), generator=generator, device=objects.device)
        pt = objects[..., self.layout.pt]
        highest = torch.where(present & self.layout.visible, pt, 0.0).amax(dim=1, keepdim=True)
        low = self.layout.pt_min.clamp_min(1.0)
        columns = [torch.where(new, 0.0, column) for column in objects.unbind(-1)]
        columns[self.layout.pt] += new * (low + (1 - u[0]) * (torch.maximum(highest, 2 * low) - low))
        columns[self.layout.eta] += new * (2 * u[1] - 1) * self.width
        columns[self.layout.phi] += new * (2 * u[2] - 1) * math.pi
        result = torch.stack(columns, dim=-1)
        there = present | new
        if self.follow:
            result = self.layout.balance((objects, present), result, there)
        return Viewed(*self.layout.tidy(result, there), new.sum(dim=1, keepdim=True) / 10)

    def _places(self, present: Tensor, generator: torch.Generator) -> Tensor:
        """Which free slots are filled, bool (b, slots)."""
        u = torch.rand((2, *present.shape), generator=generator, device=present.device)
        new, free = torch.zeros_like(present), torch.zeros_like(present)
        for name, most in self.most.items():
            slots = self.layout.collections[name]
            empty = ~present[:, slots]
            room = empty.sum(dim=1).clamp_max(most)
            count = (u[0, :, slots.start] * (room + 1)).floor()
            new[:, slots] = empty & (empty.cumsum(dim=1) <= count[:, None])
            free[:, slots] = empty
        one = torch.where(free, u[1], -1.0).argmax(dim=1, keepdim=True)
        none = ~new.any(dim=1, keepdim=True) & free.any(dim=1, keepdim=True)
        return new | (none & torch.zeros_like(new).scatter(1, one, True))
