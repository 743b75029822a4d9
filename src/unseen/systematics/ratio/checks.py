"""What is refused before a ratio is fitted or asked: each fault has a named error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import (
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    NuisanceError,
    NuisanceRangeError,
    ShapeError,
    WeightError,
)
from unseen.systematics.ratio.monomials import Floats

__all__ = ["as_nu", "as_weights", "as_z", "checked_names", "within"]


def as_z(what: str, z: ArrayLike, n_features: int | None = None) -> Floats:
    """Finite float64 events (n, d); (n,) counts as (n, 1). Errors: ShapeError, NonFiniteError."""
    try:
        values = np.array(z, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{what}: not a rectangular array of numbers ({error})") from error
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] == 0:
        raise ShapeError(f"{what}: z has shape {values.shape}; expected (events, features)")
    if n_features is not None and values.shape[1] != n_features:
        raise ShapeError(f"{what}: z has {values.shape[1]} features, the ratio has {n_features}; embed with its model")
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise NonFiniteError(
            f"{what}: {int((~finite.all(axis=1)).sum())} events have values that are not finite (first: event {row}, "
            f"feature {column} is {values[row, column]}); remove or repair them"
        )
    return values


def as_weights(what: str, weights: ArrayLike | None, n: int) -> Floats:
    """Weights (n,), none negative, with a positive sum; None: ones.

    Errors: WeightError, NegativeWeightError, NonFiniteError, NotEnoughEventsError (n = 0).
    """
    if n == 0:
        raise NotEnoughEventsError(f"{what} has no events: does anything pass the selection?")
    values = np.ones(n) if weights is None else np.array(weights, dtype=np.float64)
    if values.shape != (n,):
        raise WeightError(f"{what}: weights have shape {values.shape}; expected ({n},), one for each event")
    if not np.isfinite(values).all():
        raise NonFiniteError(f"{what}: {int((~np.isfinite(values)).sum())} weights are not finite")
    if (values < 0).any():
        raise NegativeWeightError(
            f"{what}: {int((values < 0).sum())} weights are negative (smallest {values.min():g}); cross-entropy needs "
            "weights >= 0: spread them with unseen.positive_weights"
        )
    if values.sum() <= 0:
        raise WeightError(f"{what}: all weights are zero")
    return values


def as_nu(what: str, nu: ArrayLike, names: Sequence[str], n: int | None = None) -> Floats:
    """nu as finite float64 (1, k), or (n, k) if one is given for every event. Errors: ShapeError, NonFiniteError."""
    k = len(names)
    values = np.array(nu, dtype=np.float64)
    if values.shape != (k,) and (n is None or values.shape != (n, k)):
        rows = "" if n is None else f" or ({n}, {k})"
        raise ShapeError(f"{what}: nu has shape {values.shape}; {', '.join(names)} need ({k},){rows}")
    values = np.atleast_2d(values)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise NonFiniteError(f"{what}: nu of '{names[column]}' is {values[row, column]}")
    return values


def within(nu: Floats, limits: Floats, names: Sequence[str]) -> None:
    """NuisanceRangeError if nu (n, k) leaves the limits (k, 2) by more than rounding."""
    slack = 1e-6 * (limits[:, 1] - limits[:, 0])
    outside = (nu < limits[:, 0] - slack) | (nu > limits[:, 1] + slack)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        low, high = limits[column]
        raise NuisanceRangeError(
            f"nu of '{names[column]}' is {nu[row, column]:g}; the ratio was fitted between {low:g} and {high:g}. Fit "
            "it on a wider range, or pass extrapolate=True to trust the polynomial beyond"
        )


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of parameters. Errors: NuisanceError (none, empty, or one twice)."""
    result = (names,) if isinstance(names, str) else tuple(names)
    if not result or len(set(result)) != len(result) or not all(isinstance(name, str) and name for name in result):
        raise NuisanceError(f"names of the nuisance parameters are {result}; expected one or more, all different")
    return result
