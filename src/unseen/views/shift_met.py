"""`shift-met`: missing momentum that the objects do not explain: the MET shift of arXiv:2301.04660, Sec. 3."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import FactorRange, View, ViewConfig, Viewed
from unseen.views.layout import MET, Layout
from unseen.views.rescale_pt import uniform

__all__ = ["ShiftMet", "ShiftMetConfig"]


class ShiftMetConfig(ViewConfig):
    """Settings of `shift-met`."""

    name: Literal["shift-met"] = "shift-met"
    factor: FactorRange = Field(default=(0.5, 5.0), description="Range of the factor on the MET.")

    @property
    def n_parameters(self) -> int:
        """The logarithm of the factor."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no MET)."""
        schema.collection(MET)
        return ShiftMet(Layout(schema), self.factor)


class ShiftMet(View):
    """Multiply the MET of an event by a uniform factor. Parameter: its logarithm."""

    def __init__(self, layout: Layout, factor: tuple[float, float]):
        super().__init__()
        self.layout, self.factor = layout, factor

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Shift every event."""
        factor = uniform(self.factor, len(objects), generator, objects)
        result = objects.clone()
        result[..., self.layout.pt] *= torch.where(self.layout.visible, 1.0, factor)
        return Viewed(result, present, factor.log())
