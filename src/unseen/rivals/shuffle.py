"""A random order of events that depends on their values and a seed, not on where they lie in an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.rivals.base import Seed
from unseen.search.validate import Floats, Keys, row_keys

__all__ = ["event_keys", "shuffled"]

_MIX = np.uint64(0xBF58476D1CE4E5B9)  # the odd constants of splitmix64's output function
_MORE = np.uint64(0x94D049BB133111EB)


def event_keys(z: Floats) -> Keys:
    """Return one 64-bit key (n,) for each event; equal events have equal keys."""
    keys: Keys = row_keys(z)[0]
    return keys


def shuffled(rows: NDArray[np.int64], keys: Keys, seed: Seed) -> NDArray[np.int64]:
    """Return `rows` in the order of their events' keys (m,), mixed with the seed (splitmix64)."""
    mixed = keys[rows] ^ np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MORE
    return rows[np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")]
