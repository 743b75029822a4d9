"""How the mean of the profiled statistic grows with nu, which is divided out: t = (tau - Delta) E_0[t] / E_nu[t].

Where the penalty matters, tau - Delta is no chi-squared variable with a fixed number of degrees of freedom: at a nu
with more events, or with some moved to where they were few, the data say more against the penalty, and its mean is
larger.
Toys at thrown nu average over that, so that the rate of p < 0.05 in data at one nu would be 0.05 only on average
(0.09 at nu = (2, 2) in the setting of arXiv:2111.13633). With I(nu) the information of (b, nu) on the reference
weighted by r, S(nu) what of b's is left beside nu, and C(nu) the covariance of its score as in
`unseen.search.profile_null`,

    E_nu[t] = tr S(nu)^-1 C(nu)

to first order in data. Its logarithm is taken as linear in nu, with the slope of a central difference, and read at
Delta's nu. This is a Bartlett correction of the mean's dependence on nu alone: at nu = 0 nothing changes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.loss import LARGEST_F
from unseen.search.profile_nuisances import Nuisances
from unseen.search.profile_score import score_beside
from unseen.search.validate import Floats

__all__ = ["growth_factor", "mean_growth"]

STEP = 1.0  # standard deviations
FREE_STEP = 0.1  # of a yield without a prior, whose nu is the logarithm of the yield
LARGEST = 1.0  # |log of the correction|: beyond, nu is far outside of where a result is quoted


def growth_factor(nu: Tensor, growth: Tensor) -> Tensor:
    """Return E_0[t] / E_nu[t] (T,) at nu (T, K)."""
    return torch.exp(-(nu @ growth.to(nu)).clamp(-LARGEST, LARGEST))


def mean_growth(phi: Features, psi: Floats, weights: Floats, nuisances: Nuisances, ridge: float) -> Tensor:
    """Return d log E_nu[t] / d nu (K,) from a reference with features (phi, psi), psi (n, p) and weights (n,)."""
    found = []
    for k, constrained in enumerate(nuisances.precision > 0):
        step = STEP if constrained else FREE_STEP
        nu = step * np.eye(nuisances.size)[k]
        up, down = (_mean(phi, psi, weights, nuisances, ridge, sign * nu) for sign in (1.0, -1.0))
        found.append((math.log(up) - math.log(down)) / (2.0 * step))
    return torch.tensor(found, dtype=torch.float64)


def _mean(phi: Features, psi: Floats, weights: Floats, nuisances: Nuisances, ridge: float, nu: Floats) -> float:
    """Return E_nu[t]."""
    at = torch.from_numpy(nu)[None]
    rate = weights * np.exp((psi @ nuisances.monomials(at)[0].numpy()).clip(max=LARGEST_F))
    device, dtype = phi.compute.device, phi.compute.dtype
    w, squares = (torch.from_numpy(values).to(device, dtype) for values in (rate, rate**2))
    moment, mean = phi.second_moment(w), phi.total(w[None])[0] / float(weights.sum())
    # A redrawn reference, scaled to the expected events.
    again = phi.second_moment(squares) - float(np.square(weights).sum()) * torch.outer(mean, mean)
    precision = torch.from_numpy(nuisances.precision).to(moment)
    score = score_beside(moment, nuisances.jacobian(at)[0].to(moment), precision)
    covariance = score.remove @ (moment + again) @ score.remove.T + score.constraint
    values, vectors = torch.linalg.eigh(score.information)
    # What is left of b's information has no negative eigenvalues but for rounding.
    turned = (vectors.T @ covariance @ vectors).diagonal()
    return float((turned / (values.clamp(min=0.0) + ridge)).sum())
