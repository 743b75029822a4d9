"""Rivals that run in milliseconds, and toys for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unseen.rivals import RIVALS, Ceiling, Rival
from unseen.rivals.autoencoder import AutoencoderCut
from unseen.rivals.c2st import C2ST
from unseen.rivals.flow import FlowCut
from unseen.rivals.isolation_forest import IsolationForestCut
from unseen.rivals.nplm_nn import NPLMNetwork

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

SHIFT = 6.0  # where the signal sits, in both dimensions


def log_ratio(x: Floats) -> Floats:
    """Return log of a unit Gaussian at SHIFT over one at zero."""
    return (SHIFT * x - 0.5 * SHIFT**2).sum(axis=1)


SMALL: dict[str, Callable[[], Rival]] = dict(RIVALS) | {
    "c2st": lambda: C2ST(n_trees=10),
    "nplm_nn": lambda: NPLMNetwork(epochs=100, learning_rate=0.05),
    "isolation_forest": lambda: IsolationForestCut(cut=0.05),
    "flow": lambda: FlowCut(cut=0.05, epochs=5),
    "autoencoder": lambda: AutoencoderCut(cut=0.05, epochs=10),
    "ceiling": lambda: Ceiling((10.0, 20.0), log_ratio),
}


def draw_codes(rng: np.random.Generator, m: int, n_reference: int, n_data: int, n_toys: int) -> Codes:
    """Return codes (n_toys, m) of random toys."""
    codes = np.zeros((n_toys, m), dtype=np.int8)
    for code in codes:
        rows = rng.permutation(m)
        code[rows[:n_reference]], code[rows[n_reference : n_reference + n_data]] = 1, -1
    return codes


def naive_pairs(z: Floats, codes: Codes, kernel: Callable[[float], float]) -> tuple[float, float, float]:
    """Return mean kernel of distinct pairs (R, R), (R, D), (D, D) of one toy by a double loop."""
    sums = {(1, 1): [0.0, 0], (1, -1): [0.0, 0], (-1, -1): [0.0, 0]}
    for i in range(len(z)):
        for j in range(len(z)):
            pair = (int(codes[i]), int(codes[j]))
            if i != j and pair in sums:
                sums[pair][0] += kernel(float(np.sqrt(((z[i] - z[j]) ** 2).sum())))
                sums[pair][1] += 1
    return tuple(total / count for total, count in sums.values())
