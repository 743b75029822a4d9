"""`jet-resolution`: a better or a worse resolution, without the true momenta."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.base import NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["JetResolutionConfig"]


class JetResolutionConfig(NuisanceConfig):
    """The fluctuation of every pt times 1 + a, with a = size nu (exp(size nu) - 1 below nu = 0: never below -1).

    What fluctuated is not known, but its distribution is: with log-normal fluctuations of width sigma, a measurement
    y = log pt = log(true pt) + sigma z - sigma^2 / 2 and a spectrum of true pt^-index, Bayes gives z ~ N((index - 1)
    sigma, 1). One such z is drawn for every object and y moves by a sigma z - (a + a^2 / 2) sigma^2. The spectrum is
    then that of the resolution (1 + a) sigma, for both signs of a, and an event moves smoothly with nu. Additional
    smearing would work in one direction only and with an infinite slope at 0.

    sigma is stochastic / sqrt(pt) + noise / pt + constant, in quadrature, at the nominal pt. The MET follows. It is not
    used to tell z, so the response of the MET's own resolution is of second order in nu.
    """

    about: ClassVar[str] = "jet energy resolution"

    name: Literal["jet-resolution"] = "jet-resolution"
    collection: str = Field(default="jets", description="Which objects.")
    size: float = Field(default=0.1, gt=0.0, lt=1.0, description="Relative change of the resolution at nu = 1.")
    # The simulated detector's jets, and the slope of the spectra of lhc-l1 in 30 - 120 GeV: W 2.9, QCD 3.2, Z 3.0.
    stochastic: float = Field(default=1.0, ge=0.0, description="sqrt(GeV)")
    noise: float = Field(default=2.0, ge=0.0, description="GeV")
    constant: float = Field(default=0.05, ge=0.0)
    index: float = Field(default=3.0, ge=1.0, description="Falling power of the spectrum, dN/dpt ~ pt^-index.")

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """The one that it smears."""
        return self._existing((self.collection,), schema)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Stretch every fluctuation."""
        pt, there = batch.get(self.collection, "pt", nominal=True), batch.has(self.collection, nominal=True)
        safe = torch.where(there & (pt > 0), pt, 1.0)
        variance = self.stochastic**2 / safe + (self.noise / safe) ** 2 + self.constant**2
        variance = torch.where(there, torch.log1p(variance), 0.0)
        z = batch.normal(self.parameter, pt.shape[1]) + (self.index - 1) * variance.sqrt()
        a = stretch(self.size * nu)[:, None]
        return batch.scale_pt(self.collection, a * variance.sqrt() * z - (a + a**2 / 2) * variance)


def stretch(x: Tensor) -> Tensor:
    """x above 0, exp(x) - 1 below: smooth to first order, rising, and above -1."""
    return torch.where(x > 0, x, torch.expm1(x.clamp_max(0.0)))
