"""Alignment: how close events lie that should be alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unseen.embed.probes.checks import as_embedding, as_target, as_weight
from unseen.errors import NotEnoughEventsError, ShapeError

__all__ = ["alignment", "class_alignment"]


def alignment(first: ArrayLike, second: ArrayLike) -> float:
    """``L_align = E |f(x) - f(y)|^2`` over given pairs, rows of two arrays (n, d); arXiv:2005.10242, eq. 5, alpha = 2.

    For two views of each event. 0 is perfect; 2 is a pair of independent points, uniform on the unit sphere.
    """
    a, b = as_embedding(first, at_least=1), as_embedding(second, at_least=1)
    if a.shape != b.shape:
        raise ShapeError(f"the pairs have shapes {a.shape} and {b.shape}; they must be equal")
    return float(((a - b) ** 2).sum(axis=1).mean())


def class_alignment(z: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> float:
    """L_align over all pairs of different events of one class, z (n, d), exactly and without drawing pairs.

    With normalised weights w within a class, the mean of ``|z_i - z_j|^2`` over i != j is
    ``2 (sum w |z|^2 - |sum w z|^2) / (1 - sum w^2)``; classes enter with their share of the weight.
    Errors: NotEnoughEventsError (no class has two events).
    """
    x = as_embedding(z)
    y, w = as_target(target, len(x)), as_weight(weight, len(x))
    total, shares = 0.0, 0.0
    for code in np.unique(y):
        mine = (y == code) & (w > 0)
        if mine.sum() < 2:
            continue
        points, share = x[mine], w[mine] / w[mine].sum()
        spread = share @ ((points - share @ points) ** 2).sum(axis=1)
        total += w[mine].sum() * 2 * spread / (1 - share @ share)
        shares += w[mine].sum()
    if not shares:
        raise NotEnoughEventsError("no class has two events, so there are no pairs to align")
    return float(total / shares)
