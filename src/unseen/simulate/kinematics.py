"""Lorentz boosts and random rotations of many momenta at once."""

from __future__ import annotations

import numpy as np

from unseen.simulate.particles import Float

__all__ = ["boost", "pseudorapidity", "random_rotations", "rotate"]


def boost(p: Float, frame: Float) -> Float:
    """Momenta p (k, 4), given at rest, as seen when the rest frame moves with four-momentum `frame` (k, 4)."""
    mass = np.sqrt(np.maximum(frame[:, 3] ** 2 - np.sum(frame[:, :3] ** 2, axis=1), 1e-6))
    energy = (frame[:, 3] * p[:, 3] + np.sum(frame[:, :3] * p[:, :3], axis=1)) / mass
    factor = (energy + p[:, 3]) / (frame[:, 3] + mass)
    return np.concatenate([p[:, :3] + factor[:, None] * frame[:, :3], energy[:, None]], axis=1)


def random_rotations(n: int, rng: np.random.Generator) -> Float:
    """Uniform rotation matrices (n, 3, 3) from random unit quaternions."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def rotate(p: Float, rotation: Float) -> Float:
    """Momenta (k, 4) turned by rotation matrices (k, 3, 3)."""
    return np.concatenate([np.einsum("kij,kj->ki", rotation, p[:, :3]), p[:, 3:]], axis=1)


def pseudorapidity(p: Float) -> Float:
    """eta of momenta (..., 4); large but finite along the beam."""
    pt = np.hypot(p[..., 0], p[..., 1])
    eta: Float = np.arcsinh(p[..., 2] / np.maximum(pt, 1e-9))
    return eta
