"""How well the expected number of events is known: exactly, to a fraction, or not at all.

One nuisance parameter nu with a unit Gaussian constraint scales the reference by exp(sigma nu) (spec section 5). With
c = sigma nu, Delta's fit c_0 solves  N_D - N exp(c) = c / sigma^2, and tau - Delta is the t of section 1 against the
reference scaled by exp(c_0), with an intercept c' in f that costs ((c_0 + c')^2 - c_0^2) / sigma^2. No uncertainty
gives "known"; an infinite one gives "free": the reference is scaled to N_D and the intercept costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.errors import ConfigError, UnknownNameError, did_you_mean
from unseen.search.validate import check_positive

__all__ = ["Normalisation"]

NEWTON_STEPS = 60
_CONSTRAINED = re.compile(r"constrained\(([^()]*)\)")


@dataclass(frozen=True)
class Normalisation:
    """`sigma` is the relative uncertainty of the expected yield: 0 known, infinite free."""

    sigma: float

    @classmethod
    def parse(cls, text: str) -> Normalisation:
        """Return the option "known", "free" or "constrained(SIGMA)"; raise UnknownNameError or ConfigError."""
        if text == "known":
            return cls(0.0)
        if text == "free":
            return cls(float("inf"))
        match = _CONSTRAINED.fullmatch(str(text).replace(" ", ""))
        if match is None:
            known = ("known", "free", "constrained(0.05)")
            raise UnknownNameError(f"unknown normalisation '{text}'{did_you_mean(str(text), known)}")
        sigma = check_positive("the uncertainty in constrained(...)", match[1])
        if sigma > 1.0:
            raise ConfigError(f"constrained({sigma:g}) is more than 100 % of the yield; use normalisation='free'")
        return cls(sigma)

    @property
    def intercept(self) -> bool:
        """Whether f has an intercept."""
        return self.sigma > 0.0

    @property
    def free(self) -> bool:
        """Whether the yield is profiled without a constraint."""
        return self.sigma == float("inf")

    @property
    def ridge(self) -> float:
        """Curvature of the constraint in the logistic loss, 1 / (2 sigma^2): half of the likelihood's, as f's is."""
        return 0.0 if self.free else 0.5 / self.sigma**2

    def shift(self, n_data: Tensor, expected: Tensor) -> Tensor:
        """Return c_0 (T,) of fits with N_D = `n_data` and N = `expected` (T,)."""
        c = torch.log(n_data / expected)
        if self.free or not self.intercept:
            return c if self.free else torch.zeros_like(c)
        for _ in range(NEWTON_STEPS):  # convex and increasing: monotonic after the first step
            excess = expected * torch.exp(c) + c / self.sigma**2 - n_data
            c = c - excess / (expected * torch.exp(c) + self.sigma**-2)
        return c

    def cost(self, shift: Tensor, intercept: Tensor) -> Tensor:
        """Return ((c_0 + c')^2 - c_0^2) / sigma^2 (T,)."""
        if self.free or not self.intercept:
            return torch.zeros_like(shift)
        return (2.0 * shift + intercept) * intercept / self.sigma**2
