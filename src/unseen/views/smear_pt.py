"""`smear-pt`: measure momenta again, with the resolution of the detector."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, for_collections

__all__ = ["Resolution", "SmearPt", "SmearPtConfig"]


class Resolution(BaseModel):
    """Relative pt resolution stochastic / sqrt(pt) + noise / pt + constant, added in quadrature; pt in GeV."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stochastic: float = Field(default=0.0, ge=0.0, description="sqrt(GeV)")
    noise: float = Field(default=0.0, ge=0.0, description="GeV")
    constant: float = Field(default=0.0, ge=0.0)


# About what the simulated detector has (simulate/detector/settings.py) in the barrel.
BUILT_IN = {
    "electrons": Resolution(stochastic=0.14, noise=0.4, constant=0.014),
    "photons": Resolution(stochastic=0.14, noise=0.4, constant=0.014),
    "muons": Resolution(constant=0.015),
    "taus": Resolution(stochastic=0.8, constant=0.04),
    "jets": Resolution(stochastic=1.0, noise=2.0, constant=0.05),
}


class SmearPtConfig(ViewConfig):
    """Settings of `smear-pt`. The smearing comes on top of the resolution that the events have."""

    name: Literal["smear-pt"] = "smear-pt"
    resolution: dict[str, Resolution] | None = Field(
        default=None, description="Collection -> resolution; others stay. null: about that of the simulated detector."
    )
    met: bool = Field(default=True, description="The MET takes up the change, as it is computed from what is measured.")
    soft: float = Field(
        default=0.0, ge=0.0, description="Further smearing of each MET component, of what is in no object, GeV."
    )

    @property
    def n_parameters(self) -> int:
        """The change of the scalar sum of pt over its standard deviation."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        resolution = for_collections(self.resolution, BUILT_IN, schema, "smear-pt")
        return SmearPt(Layout(schema), resolution, self.met, self.soft)


class SmearPt(View):
    """Multiply every pt by a log-normal factor of mean 1 and the resolution as standard deviation: never negative.

    Objects that fall below threshold are lost; they stay in the MET's balance. Parameter: the change of the scalar sum
    of pt in units of its standard deviation.
    """

    stochastic: Tensor
    noise: Tensor
    constant: Tensor

    def __init__(self, layout: Layout, resolution: dict[str, Resolution], met: bool, soft: float):
        super().__init__()
        self.layout, self.follow, self.soft = layout, met, soft
        for term in ("stochastic", "noise", "constant"):
            values = {name: float(getattr(value, term)) for name, value in resolution.items()}
            self.register_buffer(term, layout.per_slot(values, 0.0), persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Smear every object of every event."""
        pt = objects[..., self.layout.pt]
        safe = torch.where(present & (pt > 0), pt, 1.0)
        variance = self.stochastic**2 / safe + (self.noise / safe) ** 2 + self.constant**2
        width = torch.log1p(variance)
        z = torch.randn(present.shape, generator=generator, device=objects.device)
        change = torch.where(present, pt * torch.expm1(width.sqrt() * z - width / 2), 0.0)
        result = objects.clone()
        result[..., self.layout.pt] = pt + change
        if self.follow:
            result = self.layout.balance((objects, present), result, present)
        if self.soft:
            noise = torch.randn(len(objects), 2, generator=generator, device=objects.device)
            result = self.layout.add_to_met(result, present, self.soft * noise)
        spread = torch.where(present, pt**2 * variance, 0.0).sum(dim=1).sqrt()
        pull = torch.where(spread > 0, change.sum(dim=1) / spread.clamp_min(1e-6), 0.0)
        return Viewed(*self.layout.tidy(result, present), pull[:, None])
