"""The profiled test of a Gaussian in closed form: integrals over the density, no events and nothing of the package.

Background N(0, 1), whose mean shifts by SHIFT nu: delta(x) = SHIFT x, second order -SHIFT^2 / 2. f is a sum of the
kernels of M given centres. To first order in b and nu, with k(x) the M kernel values, I their information,
B = I_k,delta / (I_delta,delta + 1) and k~ = k - B delta,

    t = s' S^-1 s,    S = N E[k~ k'] + 2 n lambda K_MM,
    cov s = N E[k~ k~'] + B B' + (N^2 / N_R) cov k~  (+ that of a signal's events),    mean s = N_S E_signal[k~]

so t is a sum of weights times (non-central) squares of Gaussians, at every true nu.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tests.search.nuisances import SHIFT
from tests.search.problems import kernel

Floats = NDArray[np.float64]
GRID = np.linspace(-9.0, 9.0, 6001)  # sums of analytic functions that vanish at the ends: exact to rounding


@dataclass(frozen=True)
class Bump:
    """A signal: `events` of a Gaussian."""

    events: int
    mean: float
    width: float

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.normal(self.mean, self.width, (n, 1))


def weights_and_shifts(
    centers: Floats, width: float, expected: float, n_reference: int, penalty: float, signal: Bump | None = None
) -> tuple[Floats, Floats]:
    """Return w and d (M,) of t = sum w (z + d)^2, unit Gaussians z; a redrawn reference of equal weights."""
    x = GRID[:, None]
    k = kernel(x, centers, width)  # (points, M)
    density = _normalised(stats.norm.pdf(GRID))
    delta = SHIFT * GRID
    border = expected * (density * delta) @ k
    pull = border / (expected * float(density @ delta**2) + 1.0)
    own = k - np.outer(delta, pull)
    stiff = expected * (own * density[:, None]).T @ k
    stiff += 2.0 * (n_reference + expected) * penalty * kernel(centers, centers, width)
    second, mean = (own * density[:, None]).T @ own, density @ own
    covariance = expected * second + np.outer(pull, pull)
    covariance += expected**2 / n_reference * (second - np.outer(mean, mean))
    offset = np.zeros(len(centers))
    if signal is not None:
        there = _normalised(stats.norm.pdf(GRID, signal.mean, signal.width))
        offset = signal.events * (there @ own)
        about = own - there @ own
        covariance += signal.events * (about * there[:, None]).T @ about
    return _diagonal(stiff, covariance, offset)


def _normalised(density: Floats) -> Floats:
    result: Floats = density / density.sum()
    return result


def _diagonal(stiff: Floats, covariance: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Return the weights and shifts of s' S^-1 s for Gaussian s."""
    root = np.linalg.cholesky(np.linalg.inv(stiff))
    values, vectors = np.linalg.eigh(root.T @ covariance @ root)
    return values, (offset @ root @ vectors) / np.sqrt(values)
