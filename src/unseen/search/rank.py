"""Which directions of a kernel matter: the rank follows from the penalty and a tolerance on t (spec section 2).

In the eigenbasis of the reference's second moment C the linear statistic is t = sum_k A_k s_k^2 with
H_k = N c_k / 2 + n lambda and A_k = (1 / H_k + n lambda / H_k^2) / 2. A direction adds x_k = N (1 + N / N_R) c_k A_k to
the mean of the null and about sqrt(2) x_k to its spread; a signal concentrated at x gets the share A_k phi_k(x)^2 of
its t from it. Directions are dropped, weakest first, while

* together they move t by less than `tolerance` of the null's spread, and
* no event of the sample, wherever it lies, would lose more than twice `tolerance` of what it can add to t.

The second condition is what eigenvalues of C alone miss: where the reference is rare C is small and signals are
visible. Both are judged on events that did not choose the basis, so that a small sample cannot fool them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import FeatureMap
from unseen.search.thin import thin_centers
from unseen.search.validate import Floats

__all__ = ["choose_rank"]

SAMPLE = 5000  # events that choose the basis, and as many others that judge it
BLOCK = 2048


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
    moment, _ = _moment(feature_map, z[choose], weights[choose], expected)
    _, basis = torch.linalg.eigh(moment)
    rotated = feature_map.rotate(basis)  # weakest direction first
    _, energy = _moment(rotated, z[judge], weights[judge], expected)
    n_lambda = (len(z) + expected) * penalty
    h = energy / 2.0 + n_lambda
    a = 0.5 / h + 0.5 * n_lambda / h**2
    x = energy * (1.0 + expected / len(z)) * a
    spread = float((2.0 * x.square().sum()).sqrt())
    harmless = torch.cumsum(x, 0) <= tolerance * spread
    events = torch.from_numpy(np.concatenate([z[judge], z[choose]]))
    harmless &= _largest_share(rotated, events, a) <= 2.0 * tolerance
    dropped = int(harmless.long().cumprod(0).sum())
    identity = torch.eye(rotated.rank, dtype=torch.float64)
    kept = rotated.rotate(identity[:, dropped:].flip(1))
    return thin_centers(kept, events[: 2 * BLOCK], 0.1 * tolerance)


def _moment(feature_map: FeatureMap, z: Floats, weights: Floats, expected: float) -> tuple[Tensor, Tensor]:
    """Return N C (r, r) of a sample scaled to N = `expected`, and its diagonal."""
    w = torch.from_numpy(weights * (expected / weights.sum()))
    events = torch.from_numpy(z)
    moment = torch.zeros(feature_map.rank, feature_map.rank, dtype=torch.float64)
    for start in range(0, len(z), BLOCK):
        rows = slice(start, start + BLOCK)
        phi = feature_map(events[rows])
        moment.addmm_(phi.T, phi * w[rows, None])
    return moment, moment.diagonal().clone()


def _largest_share(rotated: FeatureMap, events: Tensor, a: Tensor) -> Tensor:
    """Return, for the weakest 1, 2, ... directions, the largest share of any event's sum_k A_k phi_k^2 (r,)."""
    largest = torch.zeros(rotated.rank, dtype=torch.float64)
    for start in range(0, len(events), BLOCK):
        share = torch.cumsum(rotated(events[start : start + BLOCK]).square_().mul_(a), 1)
        total = share[:, -1:].clone()
        usable = total[:, 0] > 0
        if bool(usable.any()):
            largest = torch.maximum(largest, (share[usable] / total[usable]).amax(0))
    return largest
