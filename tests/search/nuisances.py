"""The Gaussian example with a closed form: nu moves the mean of N(0, 1) and scales the yield (spec section 5).

log r(x; nu) = SHIFT nu_1 x - SHIFT^2 nu_1^2 / 2 + STRETCH nu_2: the first part is a ratio of normalised shapes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from unseen.search import RatioCoefficients

Floats = NDArray[np.float64]
SHIFT, STRETCH = 0.1, 0.05


def shape_delta(x: Floats) -> RatioCoefficients:
    """Return the coefficients of the shift alone."""
    return RatioCoefficients(SHIFT * x[:, :1], np.full((len(x), 1, 1), -(SHIFT**2) / 2), ("shift",))


def both_delta(x: Floats) -> RatioCoefficients:
    """Return the coefficients of shift and yield."""
    linear = np.column_stack([SHIFT * x[:, 0], np.full(len(x), STRETCH)])
    quadratic = np.zeros((len(x), 2, 2))
    quadratic[:, 0, 0] = -(SHIFT**2) / 2
    return RatioCoefficients(linear, quadratic, ("shift", "rate"))


def quantiles(n: int) -> Floats:
    """Return n events (n, 1) that are the unit Gaussian without its fluctuations."""
    return stats.norm.ppf((np.arange(n) + 0.5) / n)[:, None]


def shift_fit(x: Floats, a: float) -> tuple[float, float]:
    """Return nu_hat and Delta of the shift for an exactly known reference.

    2 nu (SHIFT sum x + a) - nu^2 (SHIFT^2 N_D + 1) is a parabola.
    """
    pull, stiffness = SHIFT * float(x.sum()) + a, SHIFT**2 * len(x) + 1.0
    return pull / stiffness, pull**2 / stiffness


def yield_fit(n_data: int, expected: float, scale: float, a: float) -> tuple[float, float]:
    """Return nu_hat and Delta of a yield exp(scale nu) around `expected`."""
    nu = optimize.brentq(lambda v: scale * (n_data - expected * np.exp(scale * v)) - (v - a), -50.0, 50.0, xtol=1e-13)
    delta = 2.0 * (n_data * scale * nu - expected * np.expm1(scale * nu)) - (nu - a) ** 2 + a**2
    return nu, delta
