"""The Neyman-Pearson row: how few signal events the best possible test needs, learned on all inputs.

The likelihood ratio of each signal comes from a classifier, its power from the exact distribution of the test, no toys.
A learned ratio is not the best one, so these numbers are upper bounds of the ideal ones, and efficiencies lower bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.errors import NotEnoughEventsError
from unseen.power.result import LEVELS
from unseen.rivals import Points, exact_power, signal_needed
from unseen.rivals.supervised import learn_log_ratio
from unseen.search.validate import Floats
from unseen.seeds import generator
from unseen.study.numbers import Values

__all__ = ["CeilingEvents", "ceiling_numbers", "ceiling_points"]

BOOTSTRAPS = 30
SLOPE = 0.1  # relative step of the finite difference dZ / dN
HALF = 0.6826894921370859 / 2


@dataclass(frozen=True)
class CeilingEvents:
    """Raw inputs (n, d): background and signal to learn from, and others to measure on."""

    background: Floats
    signal: Floats
    test_background: Floats
    test_signal: Floats


def ceiling_points(name: str, events: CeilingEvents, seed: int) -> Points:
    """Return the learned log r at events that it was not learned from."""
    log_ratio = learn_log_ratio(events.background, events.signal, generator(seed, "study", "ceiling", name))
    return Points.of_events(log_ratio, events.test_background, events.test_signal)


def ceiling_numbers(
    points: Points, expected: float, rng: np.random.Generator, shape: bool = False
) -> tuple[Values, list[str]]:
    """Return n2, n3, n5 with intervals of 68 % (bootstrap of the events that they are measured on) and notes.

    `shape`: of the test that does not know the yield.
    """
    values: Values = {}
    notes = []
    for level in LEVELS:
        key = f"n{level:g}"
        values |= dict.fromkeys((key, f"{key}_low", f"{key}_high", f"{key}_above"))
        try:
            n = signal_needed(points, expected, level, shape=shape)
        except NotEnoughEventsError as error:
            notes.append(f"{key}: {error}")
            continue
        low, high = _interval(points, expected, n, rng, shape)
        values |= {key: n, f"{key}_low": low, f"{key}_high": high}
    return values, notes


def _interval(points: Points, expected: float, n: float, rng: np.random.Generator, shape: bool) -> tuple[float, float]:
    """Return the interval of `n` from the spread of Z over bootstrap samples and dZ / dN."""
    near = max(1, round(n))
    below, above = max(0, round(n * (1 - SLOPE))), round(n * (1 + SLOPE)) + 1
    at = [exact_power(points, expected, m, shape=shape).z if m > 0 else 0.0 for m in (below, above)]
    slope = (at[1] - at[0]) / (above - below)
    z = np.array([exact_power(_resampled(points, rng), expected, near, shape=shape).z for _ in range(BOOTSTRAPS)])
    low, high = np.quantile(z, [0.5 - HALF, 0.5 + HALF])
    middle = float(np.median(z))
    return max(0.0, n - float(high - middle) / slope), n + float(middle - low) / slope


def _resampled(points: Points, rng: np.random.Generator) -> Points:
    """The same points with the masses of events drawn again."""
    masses = []
    for mass in (points.background, points.signal):
        count = int(np.count_nonzero(mass))
        masses.append(rng.multinomial(count, mass) / count)
    return Points(points.log_ratio, masses[0], masses[1])
