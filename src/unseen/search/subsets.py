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
    u = np.frombuffer(rng.bytes(n), dtype=np.uint8)
    low = _threshold(first, n)
    high = low + _threshold(second, n)
    code: Codes = (u < high).view(np.int8) - 2 * (u < low).view(np.int8)  # two thresholds: -1, +1, 0
    sizes = {-1: first, 1: second}
    for value, size in sizes.items():
        excess = int(np.count_nonzero(code == value)) - size
        if excess > 0:
            places = np.flatnonzero(code == value)
            code[rng.choice(places, excess, replace=False, shuffle=False)] = 0
    for value, size in sizes.items():
        _join(rng, code, value, size - int(np.count_nonzero(code == value)))
    return code


def _threshold(size: int, n: int) -> int:
    """Return how many of 256 byte values join a part of `size`: as many as leave it hardly ever too large."""
    return int(BYTE * max(size - SIGMAS * np.sqrt(size), 0.0) / n)


def _join(rng: np.random.Generator, code: Codes, value: int, missing: int) -> None:
    """Set `missing` random places from 0 to `value`."""
    free = int(np.count_nonzero(code == 0))
    if DENSE * missing > free:
        places = np.flatnonzero(code == 0)
        code[rng.choice(places, missing, replace=False, shuffle=False)] = value
        return
    size = int(np.count_nonzero(code == value)) + missing
    while missing > 0:  # never more places than are missing: repeated candidates only make the next round larger
        guesses = rng.integers(len(code), size=int(1.1 * missing * len(code) / free) + 8)
        code[guesses[code[guesses] == 0][:missing]] = value
        missing = size - int(np.count_nonzero(code == value))
