"""Samples of a density ratio, nominal events and the same ones at nu, as measurements of covariance take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import ShapeError
from unseen.search.validate import Floats
from unseen.study.covariance.closure import ClosureFrame, closure_record, closures
from unseen.study.covariance.moved import Moved
from unseen.systematics.ratio import CLOSURE_LIMIT, Closure, RatioSamples

__all__ = ["matched", "sample_closure"]

Rows = NDArray[np.int64]


def sample_closure(frame: ClosureFrame, samples: RatioSamples, limit: float = CLOSURE_LIMIT) -> Closure:
    """Return the closure at the nu of every block of `samples`, of which no event is in `frame` or was fitted.

    Errors: ShapeError (nobody knows which rows are the same event, a block with several nu), OverlapError,
    NotEnoughEventsError (fewer than 100 selected events at a nu).
    """
    zero, points = matched(samples)
    return closure_record(closures(frame, points, at_zero=zero), frame.n_data, limit)


def matched(samples: RatioSamples) -> tuple[Moved, list[Moved]]:
    """Return the events that are selected at some nu: nominal, and at the nu of every block, row by row the same.

    z and weight are 0 where an event is not selected. Errors: ShapeError (as above).
    """
    if any(np.ndim(block.nu) != 1 for block in samples.blocks):
        raise ShapeError("one nu for each block is needed; a block has another nu for every event")
    events = np.unique(np.concatenate([_rows(samples.event), *(_rows(block.event) for block in samples.blocks)]))
    z, nominal = _placed(events, samples.event, samples.z, samples.weights)
    zero = Moved(np.zeros(len(np.asarray(samples.blocks[0].nu))), z, nominal, nominal)
    points = [
        Moved(np.asarray(block.nu, np.float64), *_placed(events, block.event, block.z, block.weights), nominal)
        for block in samples.blocks
    ]
    return zero, points


def _rows(event: ArrayLike | None) -> Rows:
    if event is None:
        raise ShapeError("the samples of a ratio have to say which rows are the same event (`event`)")
    return np.asarray(event, dtype=np.int64)


def _placed(events: Rows, event: ArrayLike | None, z: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return z (n, d) and weights (n,) in the order of `events`, ascending, zeros for those that are not there."""
    own, points = _rows(event), np.asarray(z, dtype=np.float64)
    place = np.searchsorted(events, own)
    placed, weight = np.zeros((len(events), points.shape[1])), np.zeros(len(events))
    placed[place] = points
    weight[place] = np.ones(len(own)) if weights is None else np.asarray(weights, np.float64)
    return placed, weight
