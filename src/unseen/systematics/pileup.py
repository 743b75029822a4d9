"""`soft-pileup`: more or less pile-up: soft jets come and go, and the MET fluctuates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.base import NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["SoftPileupConfig"]

MOST = 3  # jets added to one event
OPEN_ETA = 4.0  # |eta| up to which jets are added where the schema sets no edge


class SoftPileupConfig(NuisanceConfig):
    """Pile-up times exp(size nu).

    Above nu = 0 jets are added, a Poisson process of `jets` (exp(size nu) - 1) per event above the threshold of
    storage, exponential in pt, uniform in eta and phi: their pt grows smoothly with nu, and they are there once it
    passes the threshold. Below, a jet is lost with probability share exp(-(pt - threshold) / slope) (1 - exp(size nu)):
    that it is from pile-up, and gone. The noise of the MET goes as sqrt(pile-up) in both directions: with Gaussian
    noise sigma on components of spread S, its part of the nominal MET m is drawn from its posterior, sigma^2 / S^2 m +
    sigma sqrt(1 - sigma^2 / S^2) z, as in `jet-resolution`. Jets do not move the MET otherwise: their energy was
    measured before it made a jet.
    """

    about: ClassVar[str] = "number of soft proton-proton collisions"

    name: Literal["soft-pileup"] = "soft-pileup"
    collection: str = Field(default="jets", description="Which objects come and go.")
    size: float = Field(default=0.1, gt=0.0, lt=1.0, description="Relative change of the pile-up at nu = 1.")
    slope: float = Field(default=8.0, gt=0.0, description="Exponential slope of the pt of pile-up jets, GeV.")
    share: float = Field(default=0.5, ge=0.0, le=1.0, description="Share of pile-up among jets at the threshold.")
    # The mean over the ADC2021 mixture of lhc-l1 of the sum of exp(-(pt - 20 GeV) / slope) is 0.22: half of it.
    jets: float = Field(default=0.11, ge=0.0, description="Pile-up jets per nominal event above the threshold.")
    met_noise: float = Field(default=5.0, ge=0.0, description="Noise of a MET component from pile-up, GeV.")
    met_spread: float = Field(default=22.0, gt=0.0, description="Standard deviation of a MET component, GeV.")

    @model_validator(mode="after")
    def _noise_within_spread(self) -> SoftPileupConfig:
        if self.met_noise >= self.met_spread:
            raise ValueError(f"met_noise {self.met_noise:g} must be below met_spread {self.met_spread:g}, its total")
        return self

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """The one that gains and loses objects, and the MET if there is one."""
        return self._existing((self.collection,), schema) + (("met",) if schema.has("met") else ())

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Change the pile-up of every event."""
        more = torch.expm1(self.size * nu)
        batch = self._add(self._lose(batch, more), more)
        if not batch.schema.has("met") or not self.met_noise:
            return batch
        ratio = (self.met_noise / self.met_spread) ** 2
        z = batch.normal(f"{self.parameter}/met", 2)
        fluctuation = ratio * batch.met() + self.met_noise * math.sqrt(1 - ratio) * z
        return batch.shift_met(torch.expm1(self.size * nu / 2)[:, None] * fluctuation)

    def _lose(self, batch: Batch, more: Tensor) -> Batch:
        pt = batch.get(self.collection, "pt", nominal=True)
        chance = self.share * torch.exp(-(pt - self._threshold(batch)).clamp_min(0.0) / self.slope)
        lost = batch.uniform(f"{self.parameter}/lost", pt.shape[1]) < chance * -more[:, None]
        # Only what was there before: other distortions may have added objects.
        present = batch.present.clone()
        present[:, batch.schema.slots(self.collection)] &= ~(lost & batch.has(self.collection, nominal=True))
        return replace(batch, present=present)

    def _add(self, batch: Batch, more: Tensor) -> Batch:
        slots, layout = batch.schema.slots(self.collection), batch.layout
        u = batch.uniform(f"{self.parameter}/jets", 3 * MOST).reshape(-1, 3, MOST)
        # Arrival times of a Poisson process: jet k is above threshold once the expected number has reached time k.
        times = (-u[:, 0].log()).cumsum(dim=1)
        expected = (self.jets * more[:, None]).clamp_min(1e-12)
        pt = self._threshold(batch) + self.slope * (expected / times).log()
        eta_max = batch.schema.collection(self.collection).abs_eta_max or OPEN_ETA
        eta, phi = (2 * u[:, 1] - 1) * eta_max, (2 * u[:, 2] - 1) * math.pi
        # The slots free in the nominal event: which jet goes where does not depend on nu.
        free = ~batch.has(self.collection, nominal=True) & ~batch.has(self.collection)
        order = (free.cumsum(dim=1) - 1).clamp(0, MOST - 1)
        new = free & (free.cumsum(dim=1) <= MOST) & (pt.gather(1, order) > self._threshold(batch))
        objects, present = batch.objects.clone(), batch.present.clone()
        objects[:, slots] = torch.where(new[..., None], 0.0, objects[:, slots])
        for feature, values in ((layout.pt, pt), (layout.eta, eta), (layout.phi, phi)):
            objects[:, slots, feature] = torch.where(new, values.gather(1, order), objects[:, slots, feature])
        present[:, slots] |= new
        return replace(batch, objects=objects, present=present)

    def _threshold(self, batch: Batch) -> float:
        return batch.schema.collection(self.collection).pt_min
