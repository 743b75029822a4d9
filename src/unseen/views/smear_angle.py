"""`smear-angle`: measure directions again, with the resolution of the detector."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, for_collections, wrap

__all__ = ["AngleResolution", "SmearAngle", "SmearAngleConfig"]


class AngleResolution(BaseModel):
    """Resolution of eta and of phi: noise / pt + constant, added in quadrature; pt in GeV."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    noise: float = Field(default=0.0, ge=0.0, description="GeV rad")
    constant: float = Field(default=0.0, ge=0.0, description="rad")


BUILT_IN = {
    "electrons": AngleResolution(constant=0.003),
    "photons": AngleResolution(constant=0.005),
    "muons": AngleResolution(constant=0.001),
    "taus": AngleResolution(noise=0.2, constant=0.01),
    "jets": AngleResolution(noise=0.8, constant=0.01),
}


class SmearAngleConfig(ViewConfig):
    """Settings of `smear-angle`."""

    name: Literal["smear-angle"] = "smear-angle"
    resolution: dict[str, AngleResolution] | None = Field(
        default=None, description="Collection -> resolution; others stay. null: that of a typical detector."
    )
    met: bool = Field(default=True, description="The MET takes up the change, as it is computed from what is measured.")

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        resolution = for_collections(self.resolution, BUILT_IN, schema, "smear-angle")
        return SmearAngle(Layout(schema), resolution, self.met)


class SmearAngle(View):
    """Add independent Gaussian numbers to eta and phi. Objects that leave the acceptance are lost. No parameters."""

    noise: Tensor
    constant: Tensor

    def __init__(self, layout: Layout, resolution: dict[str, AngleResolution], met: bool):
        super().__init__()
        self.layout, self.follow = layout, met
        for term in ("noise", "constant"):
            values = {name: float(getattr(value, term)) for name, value in resolution.items()}
            self.register_buffer(term, layout.per_slot(values, 0.0), persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Smear every object of every event."""
        pt = objects[..., self.layout.pt]
        sigma = torch.hypot(self.noise / torch.where(present & (pt > 0), pt, 1.0), self.constant)
        z = torch.randn((2, *present.shape), generator=generator, device=objects.device)
        eta, phi = (torch.where(present, sigma * z[i], 0.0) for i in range(2))
        result = objects.clone()
        result[..., self.layout.eta] += eta
        result[..., self.layout.phi] = wrap(result[..., self.layout.phi] + phi)
        if self.follow:
            result = self.layout.balance((objects, present), result, present)
        return Viewed(*self.layout.tidy(result, present), objects.new_zeros((len(objects), 0)))
