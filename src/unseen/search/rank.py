"""Which directions of a kernel matter: the rank follows from the penalty and a tolerance on t (spec section 2).

In the eigenbasis of the reference's second moment C the linear statistic is t = sum_k A_k s_k^2 with
H_k = N c_k / 2 + n lambda and A_k = (1 / H_k + n lambda / H_k^2) / 2. A direction adds x_k = N (1 + N / N_R) c_k A_k to
the mean of the null and about sqrt(2) x_k to its spread; a signal concentrated at x gets the share A_k phi_k(x)^2 of
its t from it. Directions are dropped, weakest first, while

* together they move t by less than `tolerance` of the null's spread, three standard deviations of their own part
  included (Gaussian, and with the fourth cumulant of single events), and
* no event of the sample, wherever it lies, would lose more than twice `tolerance` of what it can add to t.

The second condition is what eigenvalues of C alone miss: where the reference is rare C is small and signals are
visible. Both are judged on events that did not choose the basis, so that a small sample cannot fool them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.search.compute import Compute
from unseen.search.features import ROWS_PER_BLOCK, FeatureMap, Features
from unseen.search.thin import thin_centers
from unseen.search.validate import Floats

__all__ = ["choose_rank"]

SAMPLE = 5000  # events that choose the basis, and as many others that judge it
SIGMAS = 3.0
THINNING = 4000  # events that judge whether fewer centres do


def choose_rank(
    feature_map: FeatureMap, z: Floats, weights: Floats, expected: float, penalty: float, tolerance: float
) -> FeatureMap:
    """Return `feature_map` in the basis of C, without the directions that t does not need.

    z (n, d) and weights (n,) are the reference, in standardised units.
    """
    rows = np.unique(np.linspace(0, len(z) - 1, min(len(z), 2 * SAMPLE)).astype(int))  # order carries no information
    choose, judge = rows[::2], rows[1::2]
    if len(judge) == 0:
        return feature_map
    _, basis = torch.linalg.eigh(_moment(feature_map, z[choose], weights[choose], expected))
    rotated = feature_map.rotate(basis)  # weakest direction first
    energy = _moment(rotated, z[judge], weights[judge], expected).diagonal().clamp(min=0.0)
    n_lambda = (len(z) + expected) * penalty
    h = energy / 2.0 + n_lambda
    a = 0.5 / h + 0.5 * n_lambda / h**2
    x = energy * (1.0 + expected / len(z)) * a
    spread = float((2.0 * x.square().sum()).sqrt())
    largest_share, squared = _of_single_events(rotated, z[rows], a)
    scatter = (2.0 * torch.cumsum(x.square(), 0) + expected * squared).sqrt()
    harmless = torch.cumsum(x, 0) + SIGMAS * scatter <= tolerance * spread
    harmless &= largest_share <= 2.0 * tolerance
    dropped = int(harmless.long().cumprod(0).sum())
    identity = torch.eye(rotated.rank, dtype=torch.float64)
    kept = rotated.rotate(identity[:, dropped:].flip(1))
    return thin_centers(kept, torch.from_numpy(z[judge[:: max(1, len(judge) // THINNING)]]), 0.1 * tolerance)


def _features(feature_map: FeatureMap, z: Floats) -> Features:
    """Return float64 features that are recomputed block by block."""
    block = min(len(z), ROWS_PER_BLOCK)
    scratch = 8.0 * block * (len(feature_map.centers) + feature_map.rank)
    return Features(feature_map, z, Compute(scratch, torch.float64))


def _moment(feature_map: FeatureMap, z: Floats, weights: Floats, expected: float) -> Tensor:
    """Return N C (r, r) of a sample scaled to N = `expected`."""
    return _features(feature_map, z).second_moment(torch.from_numpy(weights * (expected / weights.sum())))


def _of_single_events(rotated: FeatureMap, z: Floats, a: Tensor) -> tuple[Tensor, Tensor]:
    """Return two things (r,) about sum_k A_k phi_k^2 over the weakest 1, 2, ... directions.

    The largest share that it has of any event's sum over all directions, and the mean of its square over events.
    """

    def largest(_: slice, phi: Tensor) -> Tensor:
        part = torch.cumsum(phi.square().mul_(a), 1)
        share = part / part[:, -1:].clamp(min=torch.finfo(part.dtype).tiny)
        return torch.stack([share.amax(0), part.square().sum(0)])

    def combine(first: Tensor, second: Tensor) -> Tensor:
        return torch.stack([torch.maximum(first[0], second[0]), first[1] + second[1]])

    shares, squares = _features(rotated, z).accumulate(largest, combine)
    return shares, squares / len(z)
