"""Negative event weights, as generators beyond leading order give them, spread over neighbours until none is left.

Cell resampling (Andersen & Maier, arXiv:2109.07851): around every event of negative weight grows a cell of its nearest
neighbours until the cell's weight is not negative; then every weight w_i in it becomes |w_i| sum(w) / sum(|w|). The
weight of each cell, hence of the sample, is kept, and distributions change only at the scale of the cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from unseen.errors import NegativeWeightError, NonFiniteError, WeightError
from unseen.search.validate import Floats, as_events, check_positive

__all__ = ["positive_weights"]

Indices = NDArray[np.intp]

FIRST_NEIGHBOURS = 16  # looked up for all negative events at once; most cells need no more
BATCH = 4096  # events looked up at once


def positive_weights(x: ArrayLike, weights: ArrayLike, max_distance: float | None = None) -> tuple[Floats, float]:
    """Return non-negative weights (n,) of the same sum for events `x` (n, d), and the radius of the largest cell.

    Distances are Euclidean in `x` as given, so features should share a scale; the most negative weights come first.
    Some weights may become zero. Raises ShapeError, NonFiniteError, NotEnoughEventsError (events), WeightError (wrong
    length), ConfigError (`max_distance` not above zero), NegativeWeightError (a total not above zero, or a cell that
    would reach beyond `max_distance`).

    Examples
    --------
    >>> positive_weights([0.0, 1.0, 1.5, 9.0], [1.0, -1.0, 3.0, 1.0])
    (array([1. , 0.5, 1.5, 1. ]), 0.5)
    """
    events = as_events("x", x)
    w = _signed(weights, len(events))
    limit = np.inf if max_distance is None else check_positive("max_distance", max_distance)
    negative = np.flatnonzero(w < 0)
    negative = negative[np.argsort(w[negative], kind="stable")]
    tree, largest = cKDTree(events), 0.0
    for start in range(0, len(negative), BATCH):
        batch = negative[start : start + BATCH]
        for event, distances, members in zip(batch, *_nearest(tree, events[batch], FIRST_NEIGHBOURS), strict=True):
            if w[event] >= 0:  # an earlier cell has taken it in
                continue
            cell, radius = _cell(tree, event, distances, members, w, limit)
            if radius > limit:
                raise NegativeWeightError(
                    f"weights still have {int((w < 0).sum())} negative values: the cell around event {event} would "
                    f"reach beyond max_distance = {limit:g}; raise it, add events, or scale the features"
                )
            size = np.abs(w[cell])
            w[cell] = size * (max(w[cell].sum(), 0.0) / size.sum())
            largest = max(largest, radius)
    return w, largest


def _signed(weights: ArrayLike, n: int) -> Floats:
    """Return finite float64 weights (n,) of either sign whose sum is above zero."""
    w = np.array(weights, dtype=np.float64)
    if w.shape != (n,):
        raise WeightError(f"weights have shape {w.shape}; expected ({n},), one weight for each event")
    if not np.isfinite(w).all():
        raise NonFiniteError(f"weights have {int((~np.isfinite(w)).sum())} NaN or infinite values")
    if w.sum() <= 0:
        raise NegativeWeightError(
            f"weights sum to {w.sum():g} with {int((w < 0).sum())} negative values, so no resampling makes all of them "
            "non-negative; select events of a positive total weight"
        )
    return w


def _cell(
    tree: cKDTree, seed: int, distances: Floats, members: Indices, w: Floats, limit: float
) -> tuple[Indices, float]:
    """Return the smallest cell around `seed` whose weight is not negative and its radius, or one beyond `limit`.

    `distances` and `members` are the first neighbours; more are looked up by doubling their number.
    """
    while True:
        others = members != seed  # events equal to the seed may come before it or push it out of the list
        cell = np.concatenate([[seed], members[others]])
        radii = np.concatenate([[0.0], distances[others]])
        enough = np.flatnonzero(np.cumsum(w[cell]) >= 0)
        last = int(enough[0]) if len(enough) else len(cell) - 1
        if len(enough) or radii[last] > limit or len(members) == len(w):
            return cell[: last + 1], float(radii[last])
        distances, members = _nearest(tree, tree.data[seed], 2 * len(members))


def _nearest(tree: cKDTree, points: Floats, k: int) -> tuple[Floats, Indices]:
    """Return distances and indices (..., k) of the k events (or all, if fewer) nearest to each of `points`."""
    distances, members = tree.query(points, k=np.arange(1, min(k, tree.n) + 1))
    return np.asarray(distances, dtype=np.float64), np.asarray(members, dtype=np.intp)
