"""`split`: resolve a jet into two, by soft or collinear radiation."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, for_collections, wrap

__all__ = ["Split", "SplitConfig"]


class SplitConfig(ViewConfig):
    """Settings of `split`."""

    name: Literal["split"] = "split"
    collection: str = Field(default="jets", description="What splits; it needs a free slot.")
    probability: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Share of the events in which an object splits."
    )
    z_min: float = Field(default=0.05, gt=0.0, lt=0.5, description="Least share of pt that the softer part takes.")
    radius: tuple[float, float] = Field(
        default=(0.4, 1.0), description="Range of the distance of the parts in eta and phi; from the jet radius on."
    )

    @model_validator(mode="after")
    def _range(self) -> SplitConfig:
        low, high = self.radius
        if not 0 < low <= high <= math.pi / 2:
            raise ValueError(f"radius must be a rising range within (0, pi/2], got {list(self.radius)}")
        return self

    @property
    def n_parameters(self) -> int:
        """Whether an object was split."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        for_collections({self.collection: True}, {}, schema, "split")
        return Split(Layout(schema), schema.slots(self.collection), self)


class Split(View):
    """Split one object of an event into parts with z and 1 - z of its pt, at a distance r in a random direction.

    z in [z_min, 1/2] and r are drawn as soft and collinear emission goes, dz/z dr/r. The vector sum of the transverse
    momenta is that of the object, exactly, and so the MET stays. A part below threshold is lost: soft radiation out of
    the jet. Parameter: whether an object was split.
    """

    def __init__(self, layout: Layout, slots: slice, config: SplitConfig):
        super().__init__()
        self.layout, self.slots = layout, slots
        self.probability, self.z_min, self.radius = config.probability, config.z_min, config.radius

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Split at most one object of every event."""
        n, width = len(objects), self.slots.stop - self.slots.start
        there = present[:, self.slots]
        u = torch.rand(n, 4 + width, generator=generator, device=objects.device)
        happens = (u[:, 0] < self.probability) & there.any(dim=1) & ~there.all(dim=1)
        chosen = torch.where(there, u[:, 4:], -1.0).argmax(dim=1)
        free = (~there).to(torch.uint8).argmax(dim=1)
        rows, first = torch.arange(n, device=objects.device), self.slots.start
        hard, soft = self._parts(objects[rows, first + chosen], u[:, 1:4])
        result, now = objects.clone(), present.clone()
        result[rows, first + chosen] = torch.where(happens[:, None], hard, objects[rows, first + chosen])
        result[rows, first + free] = torch.where(happens[:, None], soft, objects[rows, first + free])
        now[rows, first + free] |= happens
        return Viewed(*self.layout.tidy(result, now), happens[:, None].to(objects.dtype))

    def _parts(self, whole: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """The harder and the softer part (b, features) of objects (b, features), from uniform numbers (b, 3)."""
        low, high = self.radius
        z = self.z_min * (0.5 / self.z_min) ** u[:, 0]
        r = low * (high / low) ** u[:, 1]
        direction = 2 * math.pi * u[:, 2]
        eta, phi = r * direction.cos(), r * direction.sin()
        # Momenta relative to the whole, along and across its direction; then scaled and turned onto it.
        x = (1 - z) * torch.cos(z * phi) + z * torch.cos((1 - z) * phi)
        y = z * torch.sin((1 - z) * phi) - (1 - z) * torch.sin(z * phi)
        scale, turn = 1 / torch.hypot(x, y), torch.atan2(y, x)
        parts = []
        for share, lever in ((1 - z, -z), (z, 1 - z)):
            part = whole.clone()
            part[:, self.layout.pt] = whole[:, self.layout.pt] * share * scale
            part[:, self.layout.eta] = whole[:, self.layout.eta] + lever * eta
            part[:, self.layout.phi] = wrap(whole[:, self.layout.phi] + lever * phi - turn)
            parts.append(part)
        return parts[0], parts[1]
