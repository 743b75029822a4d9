"""p-values of each width that do not tie: ranks among all samples, and beyond the largest few an exponential tail.

They weigh the widths of one search against each other; the global p-value ranks what is combined of them. Ranks alone
tie: the most extreme of n toys is that at every width, and so is the data. Moments say too little: the statistic of a
narrow kernel has a tail far longer than a gamma distribution of its mean and variance, so that its rare toys would
outweigh an excess at all other widths.

Data and toys are treated alike: each sample is judged by all the others, so that under the null every rank of the
combined statistic is equally likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.search.pvalue import SMALLEST_LOG_P
from unseen.search.validate import Floats

__all__ = ["Tail", "log_p_among", "tail_size"]

TAIL = 10  # samples: fewer do not fix its slope, of more the tail need not be exponential


def tail_size(n: int) -> int:
    """Return how many of n samples make up the tail: ten, or half of them if that is less."""
    return min(TAIL, n // 2)


def log_p_among(t: Floats) -> Floats:
    """Return log p (n, n_widths) of each sample among all n samples t (n, n_widths).

    The k-th largest of many has p = k / n. Of the `tail_size` largest the excess over the next one below them is taken
    as exponential, with the mean excess of the others. Equal t have equal p.
    """
    n = len(t)
    k = tail_size(n)
    result: Floats = np.empty_like(t)
    for width, column in enumerate(t.T):
        ordered = np.sort(column)
        rank = n - np.searchsorted(ordered, column, side="left")
        log_p = np.log(rank / n)
        tail = Tail.of(ordered[::-1][: k + 1], n)
        high = column > tail.start
        log_p[high] = tail.log_p(column[high])
        result[:, width] = log_p
    return result


@dataclass(frozen=True)
class Tail:
    """The exponential tails of some sets of n samples each: above `start` (...,), with `total` (...,) excess of k."""

    start: NDArray[np.float64]
    total: NDArray[np.float64]
    k: int
    n: int

    @classmethod
    def of(cls, largest: Floats, n: int) -> Tail:
        """Return the tail of n samples from their k + 1 largest (..., k + 1), in falling order."""
        start = largest[..., -1]
        return cls(start, (largest[..., :-1] - start[..., None]).sum(axis=-1), largest.shape[-1] - 1, n)

    def log_p(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log p of members t > start of the tail, each against the mean excess of the other k - 1."""
        excess = t - self.start
        scale = np.maximum(self.total - excess, np.finfo(np.float64).tiny) / (self.k - 1)
        with np.errstate(over="ignore"):
            log_p = np.log(self.k / self.n) - excess / scale
        found: NDArray[np.float64] = np.maximum(log_p, SMALLEST_LOG_P)
        return found
