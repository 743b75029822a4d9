"""The null distribution of a search: what turns the statistics of all widths into one p-value (spec section 3, 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unseen.errors import ConfigError, ShapeError
from unseen.search.analytic import AnalyticNull
from unseen.search.combine import COMBINATIONS
from unseen.search.pvalue import SMALLEST_LOG_P, PValue, analytic_p, empirical_p
from unseen.search.smooth import log_p_among
from unseen.search.validate import Floats, check_name

__all__ = ["CALIBRATIONS", "MIN_TOYS", "Null"]

CALIBRATIONS = ("toys", "linear", "asymptotic", "permutation")
MIN_TOYS = 10  # below this no width has a usable smooth null


@dataclass(frozen=True)
class Null:
    """The null distribution: t (n_toys, n_widths) of the same statistic as the data's.

    Per-width p-values are ranks with a smooth tail (`unseen.search.smooth`). They only weigh the widths against each
    other: the global p-value ranks the combined statistic among the toys, so it stays valid where the tail is a poor
    fit. For that ranking data and toys are treated alike: each is judged by all the others, the data included, so under
    the null every rank is equally likely.

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
        if not (self.t.var(axis=0) > 0).all():
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
        else:
            log_p = log_p_among(np.concatenate([t[None], self.t]))[0]
        return log_p

    def combined(self, t: Floats) -> tuple[float, Floats]:
        """Return the combined statistic of observed t (n_widths,) and of the toys; larger is more anomalous.

        With one width it is t itself.
        """
        samples = np.concatenate([t[None], self.t])
        if samples.shape[1] == 1:
            return float(t[0]), self.t[:, 0]
        analytic = self.calibration == "asymptotic"
        log_p = _log_p(self.analytic, samples) if analytic else log_p_among(samples)
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
