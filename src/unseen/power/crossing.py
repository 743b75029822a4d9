"""How many signal events a test needs: where the median Z of pseudo-data crosses 2, 3 or 5 (spec section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from unseen.power.significance import ENOUGH_BEYOND, Significance

__all__ = ["Crossing", "crossing", "median_interval", "power_interval"]

Floats = NDArray[np.float64]
BOOTSTRAPS = 400
ONE_SIGMA = 0.6826894921370859
MOST_FAILED = 0.1  # of the bootstrap samples may leave the scan without a crossing before the interval is open


@dataclass(frozen=True)
class Crossing:
    """N_S at which the median Z is `level`, with the interval of 68 % of bootstrap samples; None where it is unknown.

    `why` then says so: the null does not resolve this Z, or the scan does not reach it. The interval is None where
    bootstrap samples leave the scan, and where the scan is so coarse that `n` is only between two of its numbers.
    """

    level: float
    n: float | None
    interval: tuple[float | None, float | None]
    why: str


def crossing(
    injections: Sequence[int], found: Sequence[Significance], level: float, seed: int = 0, beyond: float = ENOUGH_BEYOND
) -> Crossing:
    """Interpolate the scan `found`, one entry for each of `injections` in rising order.

    The bootstrap draws pseudo-data and null toys again. `beyond` is how many null toys must be expected beyond `level`.
    """
    n_null = found[0].n_null
    if not found[0].resolves(level, beyond):
        return Crossing(level, None, (None, None), f"{n_null} null toys do not resolve Z = {level:g}")
    n = _crossed(injections, found, level)
    if n is None:
        below = _share_above(found[-1], level) < 0.5
        where = f"more than {injections[-1]}" if below else f"fewer than {injections[0]}"
        return Crossing(level, None, (None, None), f"{where} signal events; widen the scan")
    coarse = _too_coarse(injections, found, level)
    if coarse:
        return Crossing(level, n, (None, None), coarse)
    rng = np.random.default_rng(seed)
    drawn = [_crossed(injections, [s.resampled(rng) for s in found], level) for _ in range(BOOTSTRAPS)]
    inside = np.array([value for value in drawn if value is not None])
    if len(inside) < (1.0 - MOST_FAILED) * BOOTSTRAPS:
        return Crossing(level, n, (None, None), "the interval leaves the scan; widen it or add toys")
    low, high = np.quantile(inside, [0.5 - ONE_SIGMA / 2, 0.5 + ONE_SIGMA / 2])
    return Crossing(level, n, (float(low), float(high)), "")


def _crossed(injections: Sequence[int], found: Sequence[Significance], level: float) -> float | None:
    """Return where the median Z crosses `level`, None if it does so nowhere in the scan.

    That is where half of the pseudo-data sets reach `level`. Between two injections the median Z is taken as linear; if
    the upper one is beyond what the null resolves, the probit of the share that reaches the level is, which has no such
    limit.
    """
    share = _rising(np.array([_share_above(s, level) for s in found]))
    if share[0] >= 0.5 or share[-1] < 0.5:
        return None
    i = int(np.argmax(share >= 0.5))
    x = injections[i - 1], injections[i]
    z = [float(np.median(found[j].z)) for j in (i - 1, i)]
    if z[1] >= found[i].largest_z or not z[0] < level <= z[1]:
        n = len(found[i].p)
        z = [float(stats.norm.ppf(np.clip(share[j], 0.5 / n, 1.0 - 0.5 / n))) for j in (i - 1, i)]
        level = 0.0
    return x[0] + (level - z[0]) / (z[1] - z[0]) * (x[1] - x[0]) if z[1] > z[0] else float(x[1])


def _too_coarse(injections: Sequence[int], found: Sequence[Significance], level: float) -> str:
    """Return why neither Z nor power says where between two injections the crossing is; empty if one does."""
    share = _rising(np.array([_share_above(s, level) for s in found]))
    i = int(np.argmax(share >= 0.5))
    if share[i] < 1.0 or np.median(found[i].z) < found[i].largest_z:
        return ""
    return (
        f"all pseudo-data with {injections[i]} signal events are beyond the null; add numbers between "
        f"{injections[i - 1]} and {injections[i]} to the scan"
    )


def _share_above(found: Significance, level: float) -> float:
    return float(np.mean(found.p <= stats.norm.sf(level)))


def _rising(share: Floats) -> Floats:
    """Return the closest non-decreasing sequence: more signal cannot make a test less powerful but by fluctuation."""
    fitted: Floats = optimize.isotonic_regression(share).x
    return fitted


def median_interval(z: Floats) -> tuple[float, float]:
    """Return the interval of the median (68 %) from order statistics."""
    n, tail = len(z), (1.0 - ONE_SIGMA) / 2.0
    ordered = np.sort(z)
    low = int(stats.binom.ppf(tail, n, 0.5))
    return float(ordered[max(low - 1, 0)]), float(ordered[min(n - low, n - 1)])


def power_interval(share: float, n: int) -> tuple[float, float]:
    """Return the Clopper-Pearson interval (68 %) of a share of n."""
    k, tail = round(share * n), (1.0 - ONE_SIGMA) / 2.0
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    return low, float(stats.beta.isf(tail, k + 1, n - k)) if k < n else 1.0
