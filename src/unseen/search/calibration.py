"""From statistics of toys to p-values with their own uncertainty (spec section 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unseen.errors import ConfigError, ShapeError
from unseen.search.combine import COMBINATIONS
from unseen.search.validate import Floats, check_name

__all__ = ["CALIBRATIONS", "Null", "PValue", "empirical_p", "gamma_log_p"]

CALIBRATIONS = ("toys",)
MIN_TOYS = 10  # below this no width has a usable smooth null
ONE_SIGMA = 0.6826894921370859
SMALLEST_LOG_P = -700.0  # exp of it is still a normal float64; a smooth null has no meaning there


@dataclass(frozen=True)
class PValue:
    """An empirical p-value with its Clopper-Pearson interval (68.27 %) and resolution."""

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
    """Return p = (k + 1) / (n + 1) for k of n toys at or above `observed`.

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


def gamma_log_p(t: Floats, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Floats:
    """Return log P(T >= t) of the gamma distribution with these moments (a scaled chi-squared); broadcasts."""
    with np.errstate(divide="ignore", under="ignore"):
        log_p = stats.gamma.logsf(np.maximum(t, 0.0), mean**2 / variance, scale=variance / mean)
    return np.clip(np.nan_to_num(log_p, nan=SMALLEST_LOG_P), SMALLEST_LOG_P, 0.0)


@dataclass(frozen=True)
class Null:
    """The null distribution from toys: t (n_toys, n_widths) of the same statistic as the data's.

    Per-width p-values come from a gamma distribution with the toys' mean and variance, since ranks of a few hundred
    toys tie. They only weigh the widths against each other: the global p-value ranks the combined statistic among the
    toys, so it stays valid where the gamma is a poor fit. For that ranking data and toys are treated alike: each is
    judged by the moments of all the others, the data included, so under the null every rank is equally likely.
    `n_data` is N_D of every toy, or None where it is thrown.
    Negative t (at tiny penalties an event beyond the data can drive t far below zero) count as zero in the moments.
    """

    t: Floats
    mode: str
    combination: str = "smallest_p"
    calibration: str = "toys"
    reference: str = "redrawn"
    n_pool: int = 0
    n_data: int | None = None

    def __post_init__(self) -> None:
        check_name("combination", self.combination, COMBINATIONS)
        if self.t.ndim != 2:
            raise ShapeError(f"null statistics have shape {self.t.shape}; expected (toys, widths)")
        if len(self.t) < MIN_TOYS:
            raise ConfigError(f"{len(self.t)} toys are too few for a null; at least {MIN_TOYS} are needed")
        if not (np.maximum(self.t, 0.0).var(axis=0) > 0).all():
            raise ConfigError(
                "the statistic does not vary among toys at some width; lower the penalty or drop the width"
            )

    @property
    def n_toys(self) -> int:
        """Number of toys."""
        return len(self.t)

    def log_p_per_width(self, t: Floats) -> Floats:
        """Return log p from the smooth null for observed t (n_widths,)."""
        positive = np.maximum(self.t, 0.0)
        return gamma_log_p(t, positive.mean(axis=0), positive.var(axis=0, ddof=1))

    def combined(self, t: Floats) -> tuple[float, Floats]:
        """Return the combined statistic of observed t (n_widths,) and of the toys; larger is more anomalous.

        With one width it is t itself.
        """
        samples = np.concatenate([t[None], self.t])
        if samples.shape[1] == 1:
            return float(t[0]), self.t[:, 0]
        combined = COMBINATIONS[self.combination](_log_p_against_others(samples))
        return float(combined[0]), combined[1:]

    def p_value(self, t: Floats) -> PValue:
        """Return the global p-value of observed t (n_widths,)."""
        return empirical_p(*self.combined(t))


def _log_p_against_others(t: Floats) -> Floats:
    """Return each sample's log p (n, n_widths) from the gamma moments of the other n - 1 samples."""
    n, t = len(t), np.maximum(t, 0.0)
    mean, variance = t.mean(axis=0), t.var(axis=0, ddof=1)
    off = t - mean
    variance_others = ((n - 1) * variance - off**2 * n / (n - 1)) / (n - 2)
    floor = np.finfo(np.float64).tiny + 1e-12 * variance
    return gamma_log_p(t, np.maximum(mean - off / (n - 1), floor), np.maximum(variance_others, floor))
