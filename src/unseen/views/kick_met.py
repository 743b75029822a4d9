"""`kick-met`: invisible particles: missing momentum in a random direction."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import MET, Layout

__all__ = ["KickMet", "KickMetConfig"]


class KickMetConfig(ViewConfig):
    """Settings of `kick-met`."""

    name: Literal["kick-met"] = "kick-met"
    mean: float = Field(default=40.0, gt=0.0, description="Mean of the exponential distribution of its size, GeV.")

    @property
    def n_parameters(self) -> int:
        """Its components over the mean."""
        return 2

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no MET)."""
        schema.collection(MET)
        return KickMet(Layout(schema), self.mean)


class KickMet(View):
    """Add a vector of exponential size and uniform direction to the MET. Parameters: its components over the mean."""

    def __init__(self, layout: Layout, mean: float):
        super().__init__()
        self.layout, self.mean = layout, mean

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Kick every event."""
        drawn = torch.rand(len(objects), 2, generator=generator, device=objects.device)
        size, angle = -torch.log1p(-drawn[:, 0]), 2 * math.pi * drawn[:, 1]
        kick = torch.stack([size * angle.cos(), size * angle.sin()], dim=1)
        return Viewed(self.layout.add_to_met(objects, present, self.mean * kick), present, kick)
