"""Checks of a calibration against another one, made by default and reported with the result (spec section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from unseen.search.analytic import AnalyticNull
from unseen.search.null import Null
from unseen.search.validate import Floats

__all__ = ["AnalyticCheck", "check_analytic", "cross_check", "tail_change"]

# The largest predicted change of the tail at p = 1e-4. The prediction, from variances alone, fell short of the change
# seen in linear toys by up to a factor 4.4 in its logarithm: this keeps it below 20 % (docs/validation/calibration.md).
LARGEST_CHANGE = 1.04
FAR_OUT = 1e-4
SMALLEST_P = 1e-3  # two-sided, over all comparisons: a check of a true null fails this often
TAILS = (0.1, 0.01, 0.001)


@dataclass(frozen=True)
class AnalyticCheck:
    """Whether the analytic nulls (one for each width) describe linear toys of the same simulation."""

    passed: bool
    why: str
    variance_excess: tuple[float, ...]
    tail_change: tuple[float, ...]
    ks_p: tuple[float, ...]
    n_toys: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "passed": self.passed,
            "why": self.why,
            "variance_excess": list(self.variance_excess),
            "tail_change": list(self.tail_change),
            "ks_p": list(self.ks_p),
            "n_toys": self.n_toys,
        }


def check_analytic(nulls: tuple[AnalyticNull, ...], linear: Floats, kind: str = "linear") -> AnalyticCheck:
    """Compare analytic nulls with toys (n_toys, n_widths) of this `kind`; no toys leave the cumulants alone."""
    excess = tuple(float(null.variance_excess) for null in nulls)
    change = tuple(tail_change(null) for null in nulls)
    p_values, faults = [], []
    if max(change) > LARGEST_CHANGE:
        faults.append(
            f"few events per kernel: p = {FAR_OUT:g} would be off by a factor of {max(change):.2f} or more "
            f"(at most {LARGEST_CHANGE:g} allowed)"
        )
    for k, null in enumerate(nulls):
        if len(linear) == 0:
            break
        p = np.exp(np.clip(null.log_p(linear[:, k]), -700.0, 0.0))
        tails = [stats.binomtest(int((p <= x).sum()), len(p), x).pvalue for x in TAILS]
        ks = float(stats.kstest(p, stats.uniform(0, 1).cdf).pvalue)
        p_values.append(ks)
        worst = min(ks, *tails)
        if worst < SMALLEST_P / (len(nulls) * (1 + len(TAILS))):
            faults.append(f"{kind} toys of width {k} disagree (p = {worst:.1g})")
    compared = f"agrees with {len(linear)} {kind} toys" if len(linear) else "not compared with toys"
    why = "; ".join(faults) if faults else f"{compared}, tail good to a factor of {max(change):.3f} at p = {FAR_OUT:g}"
    return AnalyticCheck(not faults, why, excess, change, tuple(p_values), len(linear))


def tail_change(null: AnalyticNull) -> float:
    """Return P(T >= x) over 1e-4 at the x where the Gaussian sum has 1e-4, from the variance with its fourth cumulant.

    Both are taken as gamma distributions of the same mean.
    """
    mean, variance = null.moments
    true = variance * (1.0 + null.variance_excess)
    x = stats.gamma.isf(FAR_OUT, mean**2 / variance, scale=variance / mean)
    return float(stats.gamma.sf(x, mean**2 / true, scale=true / mean) / FAR_OUT)


def cross_check(null: Null, linear: Floats) -> dict[str, Any]:
    """Return what the linear statistic of the data (n_widths,) says by itself: p per width from the analytic null.

    It is a different statistic from the converged one, and local to each width. `holds` says whether the analytic null
    describes linear toys; where it does not, its p-values mean nothing. A search calibrated with toys is none the worse
    for that; one calibrated with the analytic null has failed its check.
    """
    p = [float(np.exp(np.clip(a.log_p(linear[k : k + 1])[0], -700.0, 0.0))) for k, a in enumerate(null.analytic)]
    check = null.checks.get("analytic", {})
    said = {"holds": check.get("passed", False), "why": check.get("why", "not checked")}
    return {"statistic": "linear", "calibration": "asymptotic", **said, "t": linear.tolist(), "p_per_width": p}
