"""p-values of many data sets against one null: those of `Null.p_value` one by one, in a fraction of the time.

A null of several widths judges each toy by all other samples, the data among them, so that it looks a little
different to every data set. But whether a toy is as extreme as the data at one width is a matter of its rank there
alone: counting the largest toys of each width that are is enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.search import Null
from unseen.search.combine import COMBINATIONS
from unseen.search.smooth import Tail, tail_size

__all__ = ["p_values"]

Floats = NDArray[np.float64]


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
    return _by_smallest_p(null.t, t)


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


def _by_smallest_p(toys: Floats, data: Floats) -> Floats:
    """Return p (n,) of data (n, widths) where the combination is the smallest p."""
    n_toys, widths = toys.shape
    falling = -np.sort(-toys, axis=0)
    views = [_View(falling[:, k], data[:, k]) for k in range(widths)]
    extreme = np.min([view.log_p for view in views], axis=0)
    counts = [view.count(extreme) for view in views]
    # Toys of equal t are counted together, or not at all: any order among them will do.
    place = np.argsort(np.argsort(-toys, axis=0, kind="stable"), axis=0, kind="stable")
    above = np.array([np.count_nonzero((place < row).any(axis=1)) for row in np.stack(counts, axis=1)])
    p: Floats = (above + 1) / (n_toys + 1)
    return p


class _View:
    """The toys of one width (n_toys,), in falling order, as each of some data sets (n,) sees them."""

    def __init__(self, falling: Floats, data: Floats) -> None:
        self.falling, self.data, n = falling, data, len(falling) + 1
        k = tail_size(n)
        # With the data among them the k + 1 largest are those of the toys, one pushed out by the data.
        largest = np.repeat(falling[None, : k + 1], len(data), axis=0)
        largest[:, -1] = np.where(data > largest[:, -1], data, largest[:, -1])
        self.tail = Tail.of(-np.sort(-largest, axis=1), n)
        self.log_share = np.log(np.arange(1, n + 1) / n)
        rising = falling[::-1]
        self.rank = len(falling) - np.searchsorted(rising, falling, side="left")  # of each toy, among the toys
        own = len(falling) - np.searchsorted(rising, data, side="left") + 1
        self.log_p = np.where(data > self.tail.start, self.tail.log_p(data), self.log_share[own - 1])

    def count(self, log_p: Floats) -> NDArray[np.int64]:
        """Return how many toys (n,) have this log p (n,) or less."""
        inside = self.falling[None, : self.tail.k] > self.tail.start[:, None]
        high = np.where(inside, self._tail_of_toys() <= log_p[:, None], False).sum(axis=1)
        reached = np.searchsorted(self.log_share, log_p, side="right")  # the largest rank with this p
        sure = np.searchsorted(self.rank, reached - 1, side="right")
        edge = np.searchsorted(self.rank, reached, side="right")
        # Toys of just that rank move one on where the data is as large as they are.
        larger = self.falling[np.maximum(edge - 1, 0)] > self.data
        bulk = np.where(larger, edge, sure)
        found: NDArray[np.int64] = np.where(reached > self.tail.k, bulk, high)
        return found

    def _tail_of_toys(self) -> Floats:
        """Return log p (n, k) of the toys that belong to each data set's tail."""
        wide = Tail(self.tail.start[:, None], self.tail.total[:, None], self.tail.k, self.tail.n)
        return wide.log_p(np.maximum(self.falling[None, : self.tail.k], self.tail.start[:, None]))
