"""Error bars of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

__all__ = ["garwood"]

ONE_SIGMA = 0.6826894921370859


def garwood(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths of the central 68.27 % Garwood (exact Poisson) error bars below and above the counts."""
    tail = (1 - ONE_SIGMA) / 2
    low = np.where(counts > 0, chi2.ppf(tail, 2 * np.maximum(counts, 0.5)) / 2, 0.0)
    return counts - low, chi2.isf(tail, 2 * (counts + 1)) / 2 - counts
