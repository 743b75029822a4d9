"""Kernel features in which a ratio is a straight sum: uncorrelated, of unit variance and zero mean on nominal events.

Gaussian kernels at centres (Nystrom, arXiv:2204.02317) span functions f with a norm |f| in the kernel's function space.
Their principal components on nominal events, psi_j with kernel variance s_j, keep the directions that vary most; for
f = sum_j theta_j psi_j, |f|^2 = sum_j theta_j^2 / s_j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from unseen.errors import ConfigError, NotEnoughEventsError
from unseen.systematics.ratio.expansion import ROWS, mean_kernel
from unseen.systematics.ratio.monomials import Floats

__all__ = ["FeatureMap", "make_features", "median_distance"]

SMALLEST = 1e-10  # of the largest eigenvalue: below it directions are rounding


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """psi(z) = (k(z, centers) - offset) @ projection, (n, r); `variances` s (r,)."""

    mean: Tensor
    std: Tensor
    centers: Tensor
    widths: Tensor
    offset: Tensor
    projection: Tensor
    variances: Tensor

    @property
    def rank(self) -> int:
        """Number r of features."""
        return int(self.projection.shape[1])

    def __call__(self, z: Tensor) -> Tensor:
        """A one and the features, (n, 1 + r) float64: what a ratio is linear in."""
        psi = (self.kernel(z) - self.offset) @ self.projection
        return torch.cat([torch.ones(len(z), 1, dtype=psi.dtype), psi], dim=1)

    def kernel(self, z: Tensor) -> Tensor:
        """k(z, centers) (n, M)."""
        return mean_kernel((z - self.mean) / self.std, self.centers, self.widths)


def median_distance(x: Floats) -> float:
    """Median distance of two rows of x (n, d)."""
    return float(np.median(pdist(x)))


def make_features(
    z: Floats,
    weights: Floats,
    pool: Sequence[Floats],
    n_centers: int,
    rank: int,
    widths: tuple[float, ...],
    rng: np.random.Generator,
) -> FeatureMap:
    """Features for nominal events z (n, d) with weights (n,); `widths` in units of the median distance of centres.

    Centres are drawn from all samples of the `pool`, standardised as z is.
    Errors: ConfigError (sizes), NotEnoughEventsError (all centres are the same).
    """
    if n_centers < 1 or rank < 1 or not widths or not all(0 < width < float("inf") for width in widths):
        raise ConfigError(f"n_centers {n_centers}, rank {rank} and widths {widths} have to be positive")
    share = weights / weights.sum()
    mean = share @ z
    std = np.sqrt(share @ (z - mean) ** 2)
    std[std == 0] = 1.0
    drawn = _draw(pool, n_centers, rng)
    centers = np.unique((drawn - mean) / std, axis=0)
    if len(centers) < 2:
        raise NotEnoughEventsError(f"all {len(drawn)} centres are the same: does z vary from event to event?")
    scale = torch.tensor(widths, dtype=torch.float64) * median_distance(centers)
    plain = torch.from_numpy(mean), torch.from_numpy(std), torch.from_numpy(centers)
    return _principal(torch.from_numpy(z), torch.from_numpy(share), *plain, scale, rank)


def _draw(pool: Sequence[Floats], n: int, rng: np.random.Generator) -> Floats:
    """n rows of all samples together, different ones."""
    starts = np.cumsum([0, *(len(part) for part in pool)])
    chosen = np.sort(rng.choice(starts[-1], size=min(n, int(starts[-1])), replace=False))
    which = np.searchsorted(starts, chosen, side="right") - 1
    return np.concatenate([part[chosen[which == i] - starts[i]] for i, part in enumerate(pool)])


def _principal(
    z: Tensor, share: Tensor, mean: Tensor, std: Tensor, centers: Tensor, widths: Tensor, rank: int
) -> FeatureMap:
    values, vectors = torch.linalg.eigh(mean_kernel(centers, centers, widths))
    kept = values > SMALLEST * values[-1]
    whiten = vectors[:, kept] / values[kept].sqrt()
    m = len(centers)
    raw = FeatureMap(mean, std, centers, widths, torch.zeros(m), whiten, torch.ones(1))
    offset = torch.zeros(m, dtype=torch.float64)
    second = torch.zeros(m, m, dtype=torch.float64)
    for rows in _chunks(len(z)):
        k = raw.kernel(z[rows])
        offset += share[rows] @ k
        second += k.T @ (k * share[rows, None])
    covariance = whiten.T @ (second - torch.outer(offset, offset)) @ whiten
    variances, directions = torch.linalg.eigh((covariance + covariance.T) / 2)
    top = torch.arange(len(variances) - 1, max(len(variances) - 1 - rank, -1), -1)
    top = top[variances[top] > SMALLEST * variances[-1]]
    projection = whiten @ directions[:, top] / variances[top].sqrt()
    return FeatureMap(mean, std, centers, widths, offset, projection, variances[top])


def _chunks(n: int) -> Iterator[slice]:
    return (slice(first, first + ROWS) for first in range(0, n, ROWS))
