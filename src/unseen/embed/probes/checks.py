"""Checks of what probes and measures are given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import NegativeWeightError, NonFiniteError, NotEnoughEventsError, ShapeError, WeightError

__all__ = ["as_embedding", "as_target", "as_weight"]


def as_embedding(z: ArrayLike, at_least: int = 2) -> NDArray[np.float64]:
    """The events as float64 (n, d). Errors: ShapeError, NotEnoughEventsError, NonFiniteError."""
    x = np.asarray(z, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ShapeError(f"the embedding has shape {x.shape}; expected (n, d)")
    if len(x) < at_least:
        raise NotEnoughEventsError(f"the embedding has {len(x)} events; at least {at_least} are needed")
    if not np.isfinite(x).all():
        raise NonFiniteError("the embedding has values that are not finite")
    return x


def as_target(target: ArrayLike, n: int, n_names: int | None = None) -> NDArray[np.int64]:
    """The classes of n events as int64 (n,), each below `n_names`. Errors: ShapeError."""
    y = np.asarray(target, dtype=np.int64)
    if y.shape != (n,):
        raise ShapeError(f"target has shape {y.shape} for {n} events; expected ({n},)")
    if n_names is not None and n and (y.min() < 0 or y.max() >= n_names):
        raise ShapeError(f"target goes from {y.min()} to {y.max()}, but there are {n_names} names")
    return y


def as_weight(weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Weights (n,) that are finite, not negative and not all zero; ones for None. Errors: WeightError and its kind."""
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    if w.shape != (n,):
        raise WeightError(f"weight has shape {w.shape} for {n} events; expected ({n},)")
    if not np.isfinite(w).all():
        raise WeightError(f"the weight of event {int(np.argmin(np.isfinite(w)))} is not finite")
    if (w < 0).any():
        raise NegativeWeightError(
            f"event {int(np.argmax(w < 0))} has a negative weight, which a probe cannot use; see positive_weights"
        )
    if not w.sum() > 0:
        raise WeightError("all weights are zero")
    return w
