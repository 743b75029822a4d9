"""A p-value with its own uncertainty and the smallest value that its calibration can show (spec section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from unseen.search.validate import Floats

__all__ = ["SMALLEST_LOG_P", "PValue", "analytic_p", "empirical_p"]

ONE_SIGMA = 0.6826894921370859
SMALLEST_LOG_P = -700.0  # exp of it is still a normal float64; no null has a meaning there


@dataclass(frozen=True)
class PValue:
    """A p-value with its interval (68.27 %), its resolution, and whether it is only an upper bound at that."""

    p: float
    interval: tuple[float, float]
    resolution: float
    at_resolution: bool

    @property
    def z(self) -> float:
        """Phi^-1(1 - p), bounded below by the resolution as it is above."""
        return float(stats.norm.isf(min(self.p, 1.0 - self.resolution)))

    @property
    def z_interval(self) -> tuple[float | None, float | None]:
        """The p interval in z; None where it is unbounded."""
        low, high = self.interval
        z = (float(stats.norm.isf(high)), float(stats.norm.isf(low)))
        return (z[0] if np.isfinite(z[0]) else None, z[1] if np.isfinite(z[1]) else None)


def empirical_p(observed: float, toys: Floats, level: float = ONE_SIGMA) -> PValue:
    """Return p = (k + 1) / (n + 1) for k of n toys at or above `observed`, with a Clopper-Pearson interval.

    Examples
    --------
    >>> empirical_p(2.5, np.array([0.0, 1.0, 2.0, 3.0])).p
    0.4
    """
    n = len(toys)
    k = int((toys >= observed).sum())
    tail = (1.0 - level) / 2.0
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(stats.beta.isf(tail, k + 1, n - k)) if k < n else 1.0
    return PValue((k + 1) / (n + 1), (low, high), 1.0 / (n + 1), k == 0)


def analytic_p(log_p: float, uncertainty: float) -> PValue:
    """Return the p-value of an analytic null; `uncertainty` is the standard deviation of log p."""
    log_p = float(np.clip(log_p, SMALLEST_LOG_P, 0.0))
    low, high = np.exp(np.clip([log_p - uncertainty, log_p + uncertainty], SMALLEST_LOG_P, 0.0))
    return PValue(float(np.exp(log_p)), (float(low), float(high)), float(np.exp(SMALLEST_LOG_P)), False)
