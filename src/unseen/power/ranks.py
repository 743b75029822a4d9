"""p-values of many data sets against one null: those of `Null.p_value` one by one, in a fraction of the time.

A null of several widths judges each toy by the moments of all other samples, the data among them, so that it looks a
little different to every data set: ranking 200 of them among 10,000 toys of seven widths took 14 s. But whether a toy
is as extreme as the data at one width is a matter of its t alone, and p falls with t: a bisection of the sorted toys
finds where.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.search import Null
from unseen.search.combine import COMBINATIONS
from unseen.search.null import log_p_of_others

__all__ = ["p_values"]

Floats = NDArray[np.float64]
# Below this -log p the tails of gamma distributions of slightly different moments may cross: no bisection there.
LEAST_EXTREME = float(np.log(2.0))


def p_values(null: Null, t: Floats) -> Floats:
    """Return p (n,) of data sets with statistics t (n, widths)."""
    if null.t.shape[1] == 1 and null.calibration != "asymptotic":
        ordered = np.sort(null.t[:, 0])
        above = len(ordered) - np.searchsorted(ordered, t[:, 0], side="left")
        return np.asarray((above + 1) / (len(ordered) + 1), dtype=np.float64)
    if null.calibration == "asymptotic":
        return _against_draws(null, t)
    if null.combination != "smallest_p":
        return _one_by_one(null, t)
    toys, data = np.maximum(null.t, 0.0), np.maximum(t, 0.0)
    mean, variance = _moments(toys, data)
    n = len(toys) + 1
    extreme = -log_p_of_others(data, mean, variance, n).min(axis=1)
    boundary = _boundary(np.sort(toys, axis=0), mean, variance, extreme)
    above = np.array([np.count_nonzero((toys >= edge).any(axis=1)) for edge in boundary])
    p: Floats = (above + 1) / n
    usual = extreme < LEAST_EXTREME
    p[usual] = _one_by_one(null, t[usual])
    return p


def _one_by_one(null: Null, t: Floats) -> Floats:
    return np.array([null.p_value(row).p for row in t], dtype=np.float64)


def _against_draws(null: Null, t: Floats) -> Floats:
    """Return p where each width has an analytic null: the draws that join the widths are the same for all data."""
    draws = np.sort(null.combined(t[0])[1])
    p = np.empty(len(t))
    for i, row in enumerate(t):
        log_p = null.log_p_per_width(row)
        combined = COMBINATIONS[null.combination](log_p[None])[0]
        above = len(draws) - int(np.searchsorted(draws, combined, side="left"))
        p[i] = (above + 1) / (len(draws) + 1)
        if above == 0 and null.combination == "smallest_p":
            p[i] = min(p[i], len(log_p) * float(np.exp(log_p.min())))  # the union bound of `Null.p_value`
    return p


def _moments(toys: Floats, data: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance (n, widths) of the toys together with each data set."""
    mean, variance = np.empty_like(data), np.empty_like(data)
    samples = np.concatenate([data[:1], toys])
    for i, row in enumerate(data):
        samples[0] = row
        mean[i], variance[i] = samples.mean(axis=0), samples.var(axis=0, ddof=1)
    return mean, variance


def _boundary(ordered: Floats, mean: Floats, variance: Floats, extreme: Floats) -> Floats:
    """Return the smallest t (n, widths) of the toys whose -log p is `extreme` (n,) or more; infinity where none is."""
    n_toys, widths = ordered.shape
    low = np.full(mean.shape, -1)
    high = np.full(mean.shape, n_toys)
    column = np.arange(widths)
    while (high - low > 1).any():
        middle = np.clip((low + high) // 2, 0, n_toys - 1)
        reached = -log_p_of_others(ordered[middle, column], mean, variance, n_toys + 1) >= extreme[:, None]
        open_ = high - low > 1
        high, low = np.where(open_ & reached, middle, high), np.where(open_ & ~reached, middle, low)
    padded = np.vstack([ordered, np.full((1, widths), np.inf)])
    edge: Floats = padded[high, column]
    return edge
