"""Samples whose ratio is known in closed form."""

from __future__ import annotations

import numpy as np

from unseen.systematics import Block, RatioSamples

GRID = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)


def shifted_gaussian(n: int, size: float = 0.2, seed: int = 0, grid: tuple[float, ...] = GRID) -> RatioSamples:
    """N(0, 1) whose mean moves by size nu: log r = size nu z - (size nu)^2 / 2."""
    z = np.random.default_rng(seed).normal(size=(n, 1))
    event = np.arange(n)
    return RatioSamples.of(z, [Block([nu], z + size * nu, None, event) for nu in grid], ["shift"], event=event)


def shift_delta(z: np.ndarray, size: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    return size * z, np.full((len(z), 1, 1), -(size**2) / 2)
