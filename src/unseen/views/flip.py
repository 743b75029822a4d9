"""`flip`: exchange the two beams, eta -> -eta; proton-proton collisions do not know which beam is which."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed

__all__ = ["Flip", "FlipConfig"]


class FlipConfig(ViewConfig):
    """Settings of `flip`."""

    name: Literal["flip"] = "flip"
    probability: float = Field(default=0.5, ge=0.0, le=1.0, description="Share of the events that are flipped.")

    @property
    def n_parameters(self) -> int:
        """The sign."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return Flip(schema.feature("eta"), self.probability)


class Flip(View):
    """Change the sign of eta of all objects of an event. Parameter: the sign, 1 or -1."""

    def __init__(self, eta: int, probability: float):
        super().__init__()
        self.eta, self.probability = eta, probability

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Flip some events."""
        u = torch.rand(len(objects), 1, generator=generator, device=objects.device)
        sign = torch.where(u < self.probability, -1.0, 1.0).to(objects.dtype)
        result = objects.clone()
        result[..., self.eta] = sign * objects[..., self.eta] + 0.0  # + 0 turns the -0 of absent objects into 0
        return Viewed(result, present, sign)
