"""Two ways to bring an embedding to a common size before its shape is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.embed.probes.checks import as_embedding, as_weight
from unseen.errors import NonFiniteError

__all__ = ["directions", "standardised", "weighted_moments"]

Floats = NDArray[np.float64]


def directions(z: ArrayLike) -> Floats:
    """``z / |z|``, (n, d): points on the unit sphere. Errors: NonFiniteError (an event at the origin)."""
    x = as_embedding(z, at_least=1)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not (length > 0).all():
        raise NonFiniteError(f"event {int(np.argmin(length))} lies at the origin and has no direction")
    unit: Floats = x / length
    return unit


def standardised(z: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """Every column shifted to mean 0 and scaled to variance 1/d, (n, d): mean squared length 1, as on the unit sphere.

    A column that is the same for all events becomes 0.
    """
    x = as_embedding(z)
    mean, covariance = weighted_moments(x, as_weight(weight, len(x)))
    deviation = np.sqrt(np.diag(covariance) * x.shape[1])
    # Rounding leaves a tiny spread on a constant; the range does not.
    return (x - mean) / np.where((np.ptp(x, axis=0) > 0) & (deviation > 0), deviation, np.inf)


def weighted_moments(x: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean (d,) and covariance (d, d) of x (n, d); no correction for the degrees of freedom."""
    share = weight / weight.sum()
    mean = share @ x
    return mean, (share[:, None] * (x - mean)).T @ (x - mean)
