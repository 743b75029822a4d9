"""The Gaussian example with a closed form: nu_1 moves the mean of N(0, 1) by SHIFT, nu_2 scales the yield.

log r(z; nu) = SHIFT nu_1 z_1 - SHIFT^2 nu_1^2 / 2 + STRETCH nu_2; other columns of z do not know nu.
"""

from __future__ import annotations

import numpy as np

from unseen.search import RatioCoefficients
from unseen.search.validate import Floats
from unseen.study.covariance import Moved, moved

SHIFT, STRETCH = 0.1, 0.05
NAMES = ("shift", "rate")


def delta(z: Floats) -> RatioCoefficients:
    """The exact coefficients."""
    quadratic = np.zeros((len(z), 2, 2))
    quadratic[:, 0, 0] = -(SHIFT**2) / 2
    return RatioCoefficients(np.column_stack([SHIFT * z[:, 0], np.full(len(z), STRETCH)]), quadratic, NAMES)


def wrong_delta(z: Floats) -> RatioCoefficients:
    """Coefficients of half the shift."""
    quadratic = np.zeros((len(z), 2, 2))
    quadratic[:, 0, 0] = -(SHIFT**2) / 8
    return RatioCoefficients(np.column_stack([SHIFT * z[:, 0] / 2, np.full(len(z), STRETCH)]), quadratic, NAMES)


def nominal(n: int, seed: int, d: int = 1) -> Floats:
    """n events (n, d) at nu = 0."""
    return np.random.default_rng(seed).normal(size=(n, d))


def at(x: Floats, *nu: float) -> Moved:
    """The events x at nu."""
    z = x.copy()
    z[:, 0] += SHIFT * nu[0]
    return moved(nu, z, np.full(len(x), np.exp(STRETCH * nu[1])), np.ones(len(x)))
