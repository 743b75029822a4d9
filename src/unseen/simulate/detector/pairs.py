"""Pairs of leptons and other particles of the same event that are close to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.particles import Particles

__all__ = ["close_pairs", "delta_phi"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def delta_phi(first: Array, second: Array) -> Array:
    """Distance in azimuth, in [0, pi]."""
    distance: Array = np.pi - np.abs(np.pi - np.abs(first - second) % (2 * np.pi))
    return distance


def close_pairs(leptons: Particles, others: Particles, radius: float) -> tuple[Index, Index, Array]:
    """Rows i of `leptons` and j of `others` with distance^2 = deta^2 + dphi^2 < radius^2, and that distance^2."""
    counts = others.counts
    starts = np.cumsum(counts) - counts
    n_pairs = counts[leptons.event]
    i = np.repeat(np.arange(len(leptons)), n_pairs)
    j = np.arange(len(i)) - np.repeat(np.cumsum(n_pairs) - n_pairs, n_pairs) + np.repeat(starts[leptons.event], n_pairs)
    deta = leptons.eta[i] - others.eta[j]
    near = np.flatnonzero(np.abs(deta) < radius)
    i, j, deta = i[near], j[near], deta[near]
    distance2 = deta**2 + delta_phi(leptons.phi[i], others.phi[j]) ** 2
    close = distance2 < radius**2
    return i[close], j[close], distance2[close]
