"""Normal clouds, one for each class."""

from __future__ import annotations

import numpy as np


def clouds(
    separation: float, counts: tuple[int, ...] = (600, 300, 100), seed: int = 0, d: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Events (n, d) of unit variance around corners that lie `separation` from the origin, and their classes (n,)."""
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(len(counts)), counts)
    return rng.normal(size=(len(target), d)) + separation * np.eye(d)[target], target
