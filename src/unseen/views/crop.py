"""`crop`: a smaller detector: objects beyond an edge in eta, or in a dead sector in phi, are not seen."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, wrap

__all__ = ["Crop", "CropConfig"]


class CropConfig(ViewConfig):
    """Settings of `crop`."""

    name: Literal["crop"] = "crop"
    abs_eta: tuple[float, float] | None = Field(
        default=(2.0, 4.0), description="Range of the edge in |eta|, drawn for every event; null: no edge."
    )
    sector: float = Field(
        default=0.5, ge=0.0, le=2 * math.pi, description="Largest width of the dead sector in phi, rad; 0: none."
    )

    @model_validator(mode="after")
    def _range(self) -> CropConfig:
        if self.abs_eta is not None and not 0 < self.abs_eta[0] <= self.abs_eta[1]:
            raise ValueError(f"abs_eta must be a rising range above 0, got {list(self.abs_eta)}")
        return self

    @property
    def n_parameters(self) -> int:
        """The share of objects lost."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return Crop(Layout(schema), self.abs_eta, self.sector)


class Crop(View):
    """Remove objects outside an acceptance drawn for every event, never the last one; the MET stays.

    Edge and width are uniform in their ranges, the direction of the sector is too. Parameter: the share removed.
    """

    def __init__(self, layout: Layout, abs_eta: tuple[float, float] | None, sector: float):
        super().__init__()
        self.layout, self.abs_eta, self.sector = layout, abs_eta, sector

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Crop every event."""
        u = torch.rand(len(objects), 3, generator=generator, device=objects.device)
        away = wrap(objects[..., self.layout.phi] - 2 * math.pi * u[:, :1]).abs()
        inside = away >= u[:, 1:2] * (self.sector / 2)
        abs_eta = objects[..., self.layout.eta].abs()
        if self.abs_eta is not None:
            low, high = self.abs_eta
            inside &= abs_eta < low + (high - low) * u[:, 2:3]
        keep = self.layout.spare_one(present & (inside | ~self.layout.visible), present, -abs_eta)
        there = (present & self.layout.visible).sum(dim=1, keepdim=True)
        lost = (present & ~keep).sum(dim=1, keepdim=True)
        return Viewed(*self.layout.sort(objects, keep), lost / there.clamp_min(1))
