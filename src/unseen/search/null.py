"""The null distribution of a search: what turns the statistics of all widths into one p-value (spec section 3, 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unseen.errors import ConfigError, ShapeError
from unseen.search.analytic import AnalyticNull
from unseen.search.combine import COMBINATIONS
from unseen.search.pvalue import SMALLEST_LOG_P, PValue, analytic_p, empirical_p
from unseen.search.validate import Floats, check_name

__all__ = ["CALIBRATIONS", "MIN_TOYS", "Null", "gamma_log_p", "log_p_of_others"]

CALIBRATIONS = ("toys", "linear", "asymptotic", "permutation")
MIN_TOYS = 10  # below this no width has a usable smooth null


def gamma_log_p(t: Floats, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Floats:
    """Return log P(T >= t) of the gamma distribution with these moments (a scaled chi-squared); broadcasts."""
    with np.errstate(divide="ignore", under="ignore"):
        log_p = stats.gamma.logsf(np.maximum(t, 0.0), mean**2 / variance, scale=variance / mean)
    return np.clip(np.nan_to_num(log_p, nan=SMALLEST_LOG_P), SMALLEST_LOG_P, 0.0)


@dataclass(frozen=True)
class Null:
    """The null distribution: t (n_toys, n_widths) of the same statistic as the data's.

    Per-width p-values come from a gamma distribution with the toys' mean and variance, since ranks of a few hundred
    toys tie. They only weigh the widths against each other: the global p-value ranks the combined statistic among the
    toys, so it stays valid where the gamma is a poor fit. For that ranking data and toys are treated alike: each is
    judged by the moments of all the others, the data included, so under the null every rank is equally likely.
    Negative t (at tiny penalties an event beyond the data can drive t far below zero) count as zero in the moments.

    With the calibration "asymptotic", `analytic` holds the null of each width, per-width p-values come from it, and
    `t` are Gaussian draws of all widths jointly, needed for their combination only. `halves` are the same nulls from
    two halves of the simulation: their difference is the uncertainty.

    `n_data` is N_D of every toy, or None where it is thrown; `n_pool` the (effective) number of pool events; `checks`
    compare with other calibrations; `reason` says why this one was used.
    """

    t: Floats
    mode: str
    combination: str = "smallest_p"
    calibration: str = "toys"
    reference: str = "redrawn"
    n_pool: int = 0
    n_data: int | None = None
    analytic: tuple[AnalyticNull, ...] = ()
    halves: tuple[tuple[AnalyticNull, ...], ...] = ()
    reason: str = "asked for"
    checks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("combination", self.combination, COMBINATIONS)
        if self.t.ndim != 2:
            raise ShapeError(f"null statistics have shape {self.t.shape}; expected (toys, widths)")
        if self.calibration == "asymptotic":
            return
        if len(self.t) < MIN_TOYS:
            raise ConfigError(f"{len(self.t)} toys are too few for a null; at least {MIN_TOYS} are needed")
        if not (np.maximum(self.t, 0.0).var(axis=0) > 0).all():
            raise ConfigError(
                "the statistic does not vary among toys at some width; lower the penalty or drop the width"
            )

    @property
    def n_toys(self) -> int:
        """Number of toys, or of Gaussian draws."""
        return len(self.t)

    def log_p_per_width(self, t: Floats) -> Floats:
        """Return log p from the smooth null for observed t (n_widths,)."""
        if self.calibration == "asymptotic":
            log_p: Floats = _log_p(self.analytic, t[None])[0]
            return log_p
        positive = np.maximum(self.t, 0.0)
        return gamma_log_p(t, positive.mean(axis=0), positive.var(axis=0, ddof=1))

    def combined(self, t: Floats) -> tuple[float, Floats]:
        """Return the combined statistic of observed t (n_widths,) and of the toys; larger is more anomalous.

        With one width it is t itself.
        """
        samples = np.concatenate([t[None], self.t])
        if samples.shape[1] == 1:
            return float(t[0]), self.t[:, 0]
        analytic = self.calibration == "asymptotic"
        log_p = _log_p(self.analytic, samples) if analytic else _log_p_against_others(samples)
        combined = COMBINATIONS[self.combination](log_p)
        return float(combined[0]), combined[1:]

    def p_value(self, t: Floats) -> PValue:
        """Return the global p-value of observed t (n_widths,)."""
        if self.calibration != "asymptotic":
            return empirical_p(*self.combined(t))
        log_p = self.log_p_per_width(t)
        if len(log_p) == 1:
            return analytic_p(log_p[0], self._uncertainty(t))
        ranked = empirical_p(*self.combined(t))
        bound = len(log_p) * float(np.exp(log_p.min()))
        if ranked.at_resolution and self.combination == "smallest_p" and bound < ranked.p:
            # No draw is as extreme: the union bound over the widths holds at any depth, whatever their correlation.
            return PValue(bound, (0.0, bound), bound, True)
        return ranked

    def _uncertainty(self, t: Floats) -> float:
        """Return the standard deviation of log p from the difference of two halves of the simulation."""
        if len(self.halves) != 2:
            return 0.0
        first, second = (_log_p(half, t[None])[0, 0] for half in self.halves)
        return float(abs(first - second) / 2.0)


def _log_p(nulls: tuple[AnalyticNull, ...], t: Floats) -> Floats:
    """Return log p (n, n_widths) of t (n, n_widths)."""
    log_p = np.stack([null.log_p(t[:, k]) for k, null in enumerate(nulls)], axis=1)
    return np.clip(log_p, SMALLEST_LOG_P, 0.0)


def _log_p_against_others(t: Floats) -> Floats:
    """Return each sample's log p (n, n_widths) from the gamma moments of the other n - 1 samples."""
    t = np.maximum(t, 0.0)
    return log_p_of_others(t, t.mean(axis=0), t.var(axis=0, ddof=1), len(t))


def log_p_of_others(t: Floats, mean: Floats, variance: Floats, n: int) -> Floats:
    """Return log p of t >= 0 from the gamma moments of the other n - 1 samples; `mean` and `variance` are of all n.

    Broadcasts.
    """
    off = t - mean
    variance_others = ((n - 1) * variance - off**2 * n / (n - 1)) / (n - 2)
    floor = np.finfo(np.float64).tiny + 1e-12 * variance
    return gamma_log_p(t, np.maximum(mean - off / (n - 1), floor), np.maximum(variance_others, floor))
