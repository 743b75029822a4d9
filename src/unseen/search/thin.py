"""Fewer centres for the same directions: most of a wide kernel's centres are redundant once its rank is known.

The r kept directions are functions sum_m V_mk k(x, c_m) of all M centres. A pivoted Cholesky factorisation of K_MM puts
the centres in an order in which each adds most to the space spanned by those before it (a greedy choice; the random
one of arXiv:2207.06503 does no better here). The directions are projected on the first 2 r of them, or more until no
event's features move by more than a small fraction of themselves. Features then cost 2 r kernel values, not M.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

from unseen.search.features import FeatureMap, gaussian_kernel

__all__ = ["thin_centers"]

CENTRES_PER_DIRECTION = 2.0
GROWTH = 1.4
LARGEST_SHARE = 0.7  # of the centres: with more there is nothing to gain


def thin_centers(feature_map: FeatureMap, events: Tensor, tolerance: float) -> FeatureMap:
    """Return the map on fewer centres, or the map itself where that would move features too far.

    `tolerance` bounds |delta phi| / |phi| on the standardised `events` (n, d), with |phi| at least its median.
    """
    c = feature_map.centers
    k_mm = gaussian_kernel(c, c, feature_map.sigma)
    _, order, reached, _ = lapack.dpstrf(k_mm.numpy(), lower=1)
    phi = feature_map(events)
    size = phi.norm(dim=1).clamp(min=float(phi.norm(dim=1).median()))
    n = int(CENTRES_PER_DIRECTION * feature_map.rank) + 1
    while n <= min(LARGEST_SHARE * len(c), reached):
        thinned = _project(feature_map, k_mm, torch.from_numpy(np.sort(order[:n] - 1).astype(np.int64)))
        if float(((thinned(events) - phi).norm(dim=1) / size).max()) <= tolerance:
            return thinned
        n = int(GROWTH * n) + 1
    return feature_map


def _project(feature_map: FeatureMap, k_mm: Tensor, kept: Tensor) -> FeatureMap:
    """Return the map with its directions projected, in the kernel's function space, on the centres `kept`."""
    values, vectors = torch.linalg.eigh(k_mm[kept][:, kept])
    usable = values > len(kept) * float(values[-1]) * np.finfo(np.float64).eps
    u = vectors[:, usable]
    projection = u @ ((u.T @ (k_mm[kept] @ feature_map.projection)) / values[usable, None])
    return replace(feature_map, centers=feature_map.centers[kept].contiguous(), projection=projection.contiguous())
