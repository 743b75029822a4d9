"""`drop`: lose objects, as an inefficient reconstruction does."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import MET, Layout, for_collections

__all__ = ["Drop", "DropConfig"]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class DropConfig(ViewConfig):
    """Settings of `drop`."""

    name: Literal["drop"] = "drop"
    probability: Probability | dict[str, Probability] = Field(
        default=0.1, description="Chance that an object is lost: one number, or one for each collection named."
    )
    met: bool = Field(
        default=False,
        description="Add the lost momentum to the MET, as for particles that leave no trace; false: an object that is "
        "not identified has left its energy in the detector all the same.",
    )

    @property
    def n_parameters(self) -> int:
        """The share of objects lost."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        given = self.probability if isinstance(self.probability, dict) else None
        every = {} if given is not None else {c.name: self.probability for c in schema.collections if c.name != MET}
        chosen = for_collections(
            given, {k: float(v) for k, v in every.items() if not isinstance(v, dict)}, schema, "drop"
        )
        return Drop(Layout(schema), chosen, self.met)


class Drop(View):
    """Remove objects at random, never the last one of an event (besides the MET). Parameter: the share removed."""

    probability: Tensor

    def __init__(self, layout: Layout, probability: dict[str, float], met: bool):
        super().__init__()
        self.layout, self.follow = layout, met
        self.register_buffer("probability", layout.per_slot(probability, 0.0), persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Drop objects of every event."""
        u = torch.rand(present.shape, generator=generator, device=objects.device)
        keep = self.layout.spare_one(present & (u >= self.probability), present, u - self.probability)
        there = (present & self.layout.visible).sum(dim=1, keepdim=True)
        lost = (present & ~keep).sum(dim=1, keepdim=True)
        result = self.layout.balance((objects, present), objects, keep) if self.follow else objects
        return Viewed(*self.layout.sort(result, keep), lost / there.clamp_min(1))
