"""`rotate`: turn the whole event around the beam; physics does not know the direction of phi = 0."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import wrap

__all__ = ["Rotate", "RotateConfig", "wrap"]


class RotateConfig(ViewConfig):
    """Settings of `rotate`: none; the angle is uniform."""

    name: Literal["rotate"] = "rotate"

    @property
    def n_parameters(self) -> int:
        """Cosine and sine of the angle."""
        return 2

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return Rotate(schema.feature("phi"))


class Rotate(View):
    """Add one uniform angle per event to phi. Parameters: its cosine and sine."""

    def __init__(self, phi: int):
        super().__init__()
        self.phi = phi

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Turn every event by its own angle."""
        angle = torch.rand(len(objects), 1, generator=generator, device=objects.device) * (2 * math.pi)
        turned = wrap(objects[..., self.phi] + angle)
        result = objects.clone()
        result[..., self.phi] = torch.where(present, turned, torch.zeros_like(turned))
        return Viewed(result, present, torch.cat([angle.cos(), angle.sin()], dim=1))
