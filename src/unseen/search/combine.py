"""Combining the per-width p-values into one statistic, larger for more anomalous data (arXiv:2408.12296).

A combination takes log p-values (n_samples, n_widths) and returns (n_samples,), finite for log p in [-700, 0]. Adding
one is one function and one line in COMBINATIONS; its own null comes from the same toys, so it needs no distribution
theory. With one width each of them orders samples as its p-value does.

The smallest p, and nearly so the Cauchy and the harmonic mean, see an excess at one width among many. Fisher's sum and
the mean reward a moderate excess at most widths; the mean hardly sees a single one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from unseen.search.validate import Floats

__all__ = ["COMBINATIONS", "cauchy", "fisher", "harmonic_mean", "mean_p", "smallest_p"]

SMALLEST_Q = np.finfo(
    np.float64
).epsneg  # of 1 - p: nearer to one float64 holds no p, and at one Cauchy's term diverges


def smallest_p(log_p: Floats) -> Floats:
    """Return -log min_k p_k."""
    result: Floats = -log_p.min(axis=1)
    return result


def mean_p(log_p: Floats) -> Floats:
    """Return -log of the mean of p_k (arXiv:2408.12296)."""
    result: Floats = np.log(log_p.shape[1]) - logsumexp(log_p, axis=1)
    return result


def fisher(log_p: Floats) -> Floats:
    """Return -2 sum_k log p_k (Fisher 1925)."""
    result: Floats = -2.0 * log_p.sum(axis=1)
    return result


def cauchy(log_p: Floats) -> Floats:
    """Return -log(1/2 - arctan(T) / pi), T the mean of tan((1/2 - p_k) pi): the Cauchy combination (Liu & Xie 2020).

    This is T on the scale of -log p, which is finite. A p_k of one counts as 1 - 2^-53; even so its term outweighs
    every p_k above about 1e-16.
    """
    p, q = np.exp(log_p), np.maximum(-np.expm1(log_p), SMALLEST_Q)
    sign = np.where(p < 0.5, 1.0, -1.0)
    terms = sign / np.tan(np.pi * np.minimum(p, q))  # cot(pi p) = -cot(pi q): exact at both ends
    T = (terms / log_p.shape[1]).sum(axis=1)
    tail = np.arctan2(1.0, np.abs(T)) / np.pi  # the smaller of p and 1 - p
    result: Floats = np.where(T > 0, -np.log(tail), -np.log1p(-tail))
    return result


def harmonic_mean(log_p: Floats) -> Floats:
    """Return -log of the harmonic mean of p_k: log of the mean of 1 / p_k (Wilson 2019)."""
    result: Floats = logsumexp(-log_p, axis=1) - np.log(log_p.shape[1])
    return result


COMBINATIONS: dict[str, Callable[[Floats], Floats]] = {
    "smallest_p": smallest_p,
    "mean_p": mean_p,
    "fisher": fisher,
    "cauchy": cauchy,
    "harmonic_mean": harmonic_mean,
}
