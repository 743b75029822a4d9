"""`overlay`: two events in one, as if something heavy had produced both: an anomaly made of what is known."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, wrap

__all__ = ["Overlay", "OverlayConfig"]


class OverlayConfig(ViewConfig):
    """Settings of `overlay`: none."""

    mixes: ClassVar[bool] = True

    name: Literal["overlay"] = "overlay"

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return Overlay(Layout(schema))


class Overlay(View):
    """Add the objects of another event of the batch, turned by a uniform angle; the missing momenta add as vectors.

    Of a collection with more objects than slots the hardest stay. The partner of an event is the next one in a random
    order of the batch, so that every event is a partner once; an event alone in its batch is doubled.
    """

    def __init__(self, layout: Layout):
        super().__init__()
        self.layout = layout

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Lay a partner over every event."""
        n, layout = len(objects), self.layout
        order = torch.randperm(n, generator=generator, device=objects.device)
        partner = torch.empty_like(order)
        partner[order] = order.roll(1)
        angle = torch.rand(n, 1, generator=generator, device=objects.device) * (2 * math.pi)
        other, there = objects[partner].clone(), present[partner]
        other[..., layout.phi] = torch.where(there, wrap(other[..., layout.phi] + angle), 0.0)
        result, found = objects.clone(), present.clone()
        for slots in layout.collections.values():
            if layout.met is not None and slots.start == layout.met:
                continue
            result[:, slots], found[:, slots] = self._hardest(
                torch.cat([objects[:, slots], other[:, slots]], dim=1),
                torch.cat([present[:, slots], there[:, slots]], dim=1),
                slots.stop - slots.start,
            )
        if layout.met is not None:
            pt, phi = other[:, layout.met, layout.pt], other[:, layout.met, layout.phi]
            result = layout.add_to_met(result, found, torch.stack([pt * phi.cos(), pt * phi.sin()], dim=1))
        return Viewed(*layout.tidy(result, found), objects.new_zeros((n, 0)))

    def _hardest(self, objects: Tensor, present: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        key = torch.where(present, objects[..., self.layout.pt], -1.0)
        first = key.argsort(dim=1, descending=True, stable=True)[:, :slots]
        return objects.gather(1, first[..., None].expand(-1, -1, objects.shape[2])), present.gather(1, first)
