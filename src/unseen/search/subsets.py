"""Uniformly random subsets of exact size, at a byte and a few operations for each event.

Every event first joins a part independently, by one random byte; then random members leave parts that are too large
(seldom, by the choice of the probabilities) and random others join those that are too small. No step tells one event
from another, so the result has all subsets of these sizes equally likely, whatever the first step's probabilities were:
these only decide how much is left to mend.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_parts", "random_subset"]

BYTE = 256
SMALL = 20_000  # below this a shuffle is as fast
SIGMAS = 4.0
DENSE = 4  # at most one free place in this many may be needed for guessing places to be fast
Codes = NDArray[np.int8]


def random_subset(rng: np.random.Generator, n: int, size: int) -> Codes:
    """Return int8 (n,) with +1 at `size` random places."""
    return -random_parts(rng, n, size, 0)


def random_parts(rng: np.random.Generator, n: int, first: int, second: int) -> Codes:
    """Return int8 (n,) with -1 at `first` random places and +1 at `second` random others."""
    if n < SMALL:
        shuffled = np.zeros(n, dtype=np.int8)
        rows = rng.permutation(n)
        shuffled[rows[:first]], shuffled[rows[first : first + second]] = -1, 1
        return shuffled
    u = rng.bit_generator.random_raw(-(-n // 8)).view(np.uint8)[:n]
    low = _threshold(first, n)
    in_first, in_either = u < low, u < low + _threshold(second, n)
    code: Codes = in_either.view(np.int8) - 2 * in_first.view(np.int8)  # -1, +1 or 0
    n_first, n_either = int(np.count_nonzero(in_first)), int(np.count_nonzero(in_either))
    excess = {-1: n_first - first, 1: n_either - n_first - second}
    for value, size in excess.items():
        if size > 0:
            places = np.flatnonzero(code == value)
            code[rng.choice(places, size, replace=False, shuffle=False)] = 0
    free = n - n_either + sum(max(size, 0) for size in excess.values())
    for value, size in excess.items():
        if size < 0:
            _join(rng, code, value, -size, free)
            free += size
    return code


def _threshold(size: int, n: int) -> int:
    """Return how many of 256 byte values join a part of `size`: as many as leave it hardly ever too large."""
    return int(BYTE * max(size - SIGMAS * np.sqrt(size), 0.0) / n)


def _join(rng: np.random.Generator, code: Codes, value: int, missing: int, free: int) -> None:
    """Set `missing` random ones of the `free` places that are 0 to `value`."""
    if DENSE * missing > free:
        code[rng.choice(np.flatnonzero(code == 0), missing, replace=False, shuffle=False)] = value
        return
    guesses = rng.integers(len(code), size=int(1.2 * missing * len(code) / free) + 40)
    guesses = guesses[code[guesses] == 0]
    distinct = np.sort(np.unique(guesses, return_index=True)[1])[:missing]  # in the order in which they were drawn
    code[guesses[distinct]] = value
    if len(distinct) < missing:
        _join(rng, code, value, missing - len(distinct), free - len(distinct))
