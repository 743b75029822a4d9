"""Uniformity: how evenly events fill the space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist

from unseen.embed.probes.checks import as_embedding, as_weight
from unseen.seeds import generator

__all__ = ["uniformity"]

MOST_EVENTS = 3000  # 4.5 million pairs


def uniformity(
    z: ArrayLike, weight: ArrayLike | None = None, t: float = 2.0, seed: int = 0, most: int = MOST_EVENTS
) -> float:
    """``L_uniform = log E exp(-t |f(x) - f(y)|^2)`` over pairs of different events; arXiv:2005.10242, eq. 6.

    0 is a single point; the lower, the more even. The smallest value on the sphere of d dimensions is
    -2t + log 0F1(; d/2; t^2); a normal distribution of variance 1/d per column has -d/2 log(1 + 4t/d). At most
    `most` events, drawn at random, make the pairs.
    """
    x = as_embedding(z)
    w = as_weight(weight, len(x))
    used = np.flatnonzero(w > 0)
    rows = generator(seed, "uniformity").permutation(used)[:most]
    x, w = as_embedding(x[rows]), w[rows] / w[rows].sum()
    first, second = np.triu_indices(len(x), 1)
    pairs = w[first] * w[second]
    return float(np.log(pairs @ np.exp(-t * pdist(x, "sqeuclidean")) / pairs.sum()))
