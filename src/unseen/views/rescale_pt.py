"""`rescale-pt`: an event far harder than it was: the pt shift of arXiv:2301.04660, Sec. 3."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import FactorRange, View, ViewConfig, Viewed
from unseen.views.layout import Layout

__all__ = ["RescalePt", "RescalePtConfig", "uniform"]


class RescalePtConfig(ViewConfig):
    """Settings of `rescale-pt`."""

    name: Literal["rescale-pt"] = "rescale-pt"
    factor: FactorRange = Field(default=(1.0, 5.0), description="Range of the factor on the pt of all objects.")
    met: Literal["fixed", "scaled", "balanced"] = Field(
        default="fixed", description="The MET stays, is multiplied too, or takes up the change."
    )

    @property
    def n_parameters(self) -> int:
        """The logarithm of the factor."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return RescalePt(Layout(schema), self.factor, self.met)


class RescalePt(View):
    """Multiply the pt of all objects of an event by one uniform factor. Parameter: its logarithm."""

    def __init__(self, layout: Layout, factor: tuple[float, float], met: Literal["fixed", "scaled", "balanced"]):
        super().__init__()
        self.layout, self.factor, self.met = layout, factor, met

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Rescale every event."""
        factor = uniform(self.factor, len(objects), generator, objects)
        scaled = torch.ones_like(self.layout.visible) if self.met == "scaled" else self.layout.visible
        result = objects.clone()
        result[..., self.layout.pt] *= torch.where(scaled, factor, 1.0)
        if self.met == "balanced":
            result = self.layout.balance((objects, present), result, present)
        return Viewed(*self.layout.tidy(result, present), factor.log())


def uniform(bounds: tuple[float, float], n: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Uniform numbers (n, 1) in a range."""
    low, high = bounds
    drawn = low + (high - low) * torch.rand(n, 1, generator=generator, device=like.device)
    return drawn.clamp(low, math.nextafter(high, math.inf))
