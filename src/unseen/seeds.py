"""One root seed, and a named path to every random stream below it."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["generator", "seed_sequence", "small_seed"]


def seed_sequence(root: int, *path: str | int) -> np.random.SeedSequence:
    """The seed sequence at a named path, e.g. ``seed_sequence(1, "simulate", "w", 0)``.

    Streams of different paths are independent, and adding a stream does not change the others.
    """
    key = tuple(part if isinstance(part, int) else zlib.crc32(part.encode()) for part in path)
    return np.random.SeedSequence(entropy=root, spawn_key=key)


def generator(root: int, *path: str | int) -> np.random.Generator:
    """A numpy generator at a named path below the root seed."""
    return np.random.default_rng(seed_sequence(root, *path))


def small_seed(root: int, *path: str | int, below: int = 900_000_000) -> int:
    """An integer seed in 1..below-1 at a named path, for libraries that take one (Pythia, torch)."""
    return 1 + int(seed_sequence(root, *path).generate_state(1, np.uint64)[0] % (below - 1))
