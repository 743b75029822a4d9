"""Uniformly random subsets of exact size, at a byte and a few operations for each event.

Every event first joins a part independently, by one random byte; then random members leave parts that are too large
and random others join those that are too small. No step tells one event from another, so the result has all subsets of
these sizes equally likely, whatever the first step's probabilities were: these only decide how much is left to mend.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_parts", "random_subset"]

BYTE = 256
SMALL = 20_000  # below this a shuffle is as fast
Codes = NDArray[np.int8]


def random_subset(rng: np.random.Generator, n: int, size: int) -> Codes:
    """Return int8 (n,) with +1 at `size` random places."""
    return -random_parts(rng, n, size, 0)


def random_parts(rng: np.random.Generator, n: int, first: int, second: int) -> Codes:
    """Return int8 (n,) with -1 at `first` random places and +1 at `second` random others."""
    if n < SMALL:
        code = np.zeros(n, dtype=np.int8)
        rows = rng.permutation(n)
        code[rows[:first]], code[rows[first : first + second]] = -1, 1
        return code
    low = round(BYTE * first / n)
    table = np.zeros(BYTE, dtype=np.int8)
    table[:low] = -1
    table[low : min(low + round(BYTE * second / n), BYTE)] = 1
    code = table[np.frombuffer(rng.bytes(n), dtype=np.uint8)]
    sizes = {-1: first, 1: second}
    for value, size in sizes.items():
        excess = int(np.count_nonzero(code == value)) - size
        if excess > 0:
            code[_members(rng, code, value, excess)] = 0
    for value, size in sizes.items():
        missing = size - int(np.count_nonzero(code == value))
        if missing > 0:
            code[_members(rng, code, 0, missing)] = value
    return code


def _members(rng: np.random.Generator, code: Codes, value: int, size: int) -> NDArray[np.int64]:
    """Return `size` random distinct places where `code` is `value`."""
    places = np.flatnonzero(code == value)
    return rng.choice(places, size, replace=False, shuffle=False)
