"""Power of the Neyman-Pearson test without toys.

t is a sum over events of h(x) = log(1 + N_S / N r(x)), and the number of events is Poisson: its distribution is a
compound Poisson one, whose characteristic function is exp(N (phi - 1)) with phi that of h for one event. A Fourier
transform inverts it: tails down to 1e-13 (Z = 7) at the cost of a toy. Where the number of events is fixed (a test of
shape alone) the characteristic function is a power of phi.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unseen.errors import ConfigError, NonFiniteError, NotEnoughEventsError
from unseen.rivals.ceiling import LogRatio, per_event
from unseen.search.validate import Floats, as_events, check_count, check_positive

__all__ = ["ExactPower", "Points", "exact_power", "signal_needed"]

GRID = 2**18  # values of the sum
SPAN_SIGMA = 12.0
SMALLEST_P = 1e-14  # rounding of the Fourier transform
MOST_SIGNAL = 2**24
Density = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Points:
    """Points in feature space: the log r that the test believes in (n,), and both true distributions as masses (n,)."""

    log_ratio: Floats = field(repr=False)
    background: Floats = field(repr=False)
    signal: Floats = field(repr=False)

    @classmethod
    def of_densities(
        cls, background: Density, signal: Density, low: float, high: float, log_ratio: LogRatio | None = None
    ) -> Points:
        """Return a fine grid for known densities p(x) (n,) in one dimension, which vanish outside `low` to `high`.

        `log_ratio` of events (n, 1) replaces the true one: the test is a learned one then.
        """
        x = np.linspace(low, high, GRID + 1)
        x = 0.5 * (x[1:] + x[:-1])
        p_b, p_s = background(x), signal(x)
        with np.errstate(divide="ignore"):
            log_r = np.log(p_s) - np.log(np.maximum(p_b, np.finfo(float).tiny)) if log_ratio is None else None
        if log_r is None and log_ratio is not None:
            log_r = log_ratio(x[:, None])
        return cls(np.asarray(log_r), p_b / p_b.sum(), p_s / p_s.sum())

    @classmethod
    def of_events(cls, log_ratio: LogRatio, background: Floats, signal: Floats) -> Points:
        """Return simulated events (n, d) of both kinds, none of which `log_ratio` was learned from."""
        b = as_events("background", background)
        s = as_events("signal", signal, b.shape[1])
        masses = np.repeat([1.0 / len(b), 0.0], [len(b), len(s)]), np.repeat([0.0, 1.0 / len(s)], [len(b), len(s)])
        return cls(np.concatenate([log_ratio(b), log_ratio(s)]), *masses)


@dataclass(frozen=True)
class ExactPower:
    """Median Z of the test, the median t and its p-value, and P(T >= t) (n,) under both hypotheses."""

    z: float
    p_value: float
    median_t: float
    t: Floats = field(repr=False)
    null: Floats = field(repr=False)
    alternative: Floats = field(repr=False)


def exact_power(
    points: Points, expected: float, n_signal: int, *, fluctuate: bool = False, shape: bool = False
) -> ExactPower:
    """Return the power of t = 2 [ sum log(1 + N_S / N r) - N_S ] for N_S = `n_signal` added to Poisson(`expected`).

    Exactly N_S events are added, or Poisson(N_S) with `fluctuate`. `shape` is the test that does not know the yield: it
    compares `expected` background events and N_S of signal with as many background events as both together. Z is cut
    off at 7.65 (p = 1e-14). Errors: ConfigError (numbers out of range, both options), NonFiniteError,
    NotEnoughEventsError (no point with signal).
    """
    n = check_positive("expected", expected)
    if shape and fluctuate:
        raise ConfigError("a test of shape alone has a fixed number of data events: choose shape or fluctuate")
    n_signal = check_count("n_signal", n_signal, 1)
    if np.isnan(points.log_ratio).any():
        raise NonFiniteError("log r is NaN at some points; it must be a number or -inf")
    h = per_event(points.log_ratio, n_signal, n)
    mean = n * points.background @ h + n_signal * points.signal @ h
    spread = np.sqrt(n * points.background @ h**2 + n_signal * points.signal @ h**2)
    top = float(h[(points.background > 0) | (points.signal > 0)].max())
    if not top > 0.0:
        raise NotEnoughEventsError("log r is -inf at every point: the test does not see this signal")
    width = float(2.0 * (mean + SPAN_SIGMA * spread) + SPAN_SIGMA * top) / GRID
    phi_b, phi_s = (np.fft.rfft(_masses(h, mass, width)) for mass in (points.background, points.signal))
    added = np.exp(n_signal * (phi_s - 1.0)) if fluctuate else phi_s**n_signal
    background = phi_b ** round(n) if shape else np.exp(n * (phi_b - 1.0))
    null = background * phi_b**n_signal if shape else background
    p0, p1 = (_survival(phi) for phi in (null, background * added))
    middle = int(np.searchsorted(-p1, -0.5))  # the first value with P(T >= t) <= 1/2
    share = (p1[middle - 1] - 0.5) / max(p1[middle - 1] - p1[middle], np.finfo(float).tiny)
    log_p = np.log(np.maximum(p0[middle - 1 : middle + 1], SMALLEST_P))
    p = float(np.exp((1.0 - share) * log_p[0] + share * log_p[1]))
    t = 2.0 * (width * np.arange(GRID) - n_signal)
    median = float(t[middle - 1] + 2.0 * width * share)
    return ExactPower(float(stats.norm.isf(p)), p, median, t.astype(np.float64), p0, p1)


def signal_needed(points: Points, expected: float, z: float, *, fluctuate: bool = False, shape: bool = False) -> float:
    """Return N_z: the N_S whose median Z is `z`, linear between whole numbers; options as for `exact_power`."""

    def median(n: int) -> float:
        return exact_power(points, expected, n, fluctuate=fluctuate, shape=shape).z if n > 0 else 0.0

    check_positive("z", z)
    if z > stats.norm.isf(10.0 * SMALLEST_P):
        raise ConfigError(f"z is {z:g}; the exact power ends at {stats.norm.isf(10.0 * SMALLEST_P):.2f}")
    low, high = 0, 1
    while median(high) < z:
        low, high = high, 2 * high
        if high > MOST_SIGNAL:
            raise NotEnoughEventsError(f"{low} signal events do not reach a median Z of {z:g}: log r does not see them")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if median(middle) < z else (low, middle)
    at_low, at_high = median(low), median(high)
    return low + (z - at_low) / (at_high - at_low)


def _masses(h: Floats, mass: Floats, width: float) -> Floats:
    """Return the masses of one event's h on the grid, shared between neighbours so that the mean is kept."""
    place = h / width
    below = place.astype(np.int64)
    above = mass * (place - below)
    counts = np.bincount(below, mass - above, GRID) + np.bincount(below + 1, above, GRID)
    masses: Floats = counts[:GRID].astype(np.float64)
    return masses


def _survival(phi: NDArray[np.complex128]) -> Floats:
    """Return P(T >= t) (GRID,) from the characteristic function."""
    masses = np.maximum(np.fft.irfft(phi, GRID), 0.0)
    survival: Floats = np.cumsum(masses[::-1])[::-1]
    return survival
