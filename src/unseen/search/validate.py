"""Checks of what a user hands in: every fault gets a named error before any work starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    OverlapError,
    ShapeError,
    UnknownNameError,
    WeightError,
    did_you_mean,
)

__all__ = [
    "as_events",
    "as_weights",
    "check_count",
    "check_disjoint",
    "check_name",
    "check_positive",
    "match",
    "repeats",
    "row_keys",
]

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
SIGMAS = 5.0  # above the chance matches that are expected; slack: single precision may see a few where none is


def as_events(name: str, x: ArrayLike, n_features: int | None = None) -> Floats:
    """Return `x` as finite float64 (n, d); one-dimensional input counts as (n, 1).

    Masked values count as missing. Raises ShapeError (not (n, d), or another d than `n_features`), NonFiniteError,
    NotEnoughEventsError (n = 0).
    """
    try:
        if isinstance(x, np.ma.MaskedArray):
            x = np.ma.filled(x.astype(np.float64), np.nan)
        events = np.array(x, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} is not a rectangular array of numbers: {error}") from error
    if events.ndim == 1:
        events = events[:, None]
    if events.ndim != 2 or events.shape[1] == 0:
        raise ShapeError(f"{name} has shape {events.shape}; expected (events, features)")
    if n_features is not None and events.shape[1] != n_features:
        raise ShapeError(f"{name} has {events.shape[1]} features, the fitted reference has {n_features}")
    if len(events) == 0:
        raise NotEnoughEventsError(f"{name} has no events; at least one is needed")
    finite = np.isfinite(events)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        bad = int((~finite.all(axis=1)).sum())
        raise NonFiniteError(
            f"{name} has {bad} events with NaN or infinite values (first: event {row}, feature {column} is "
            f"{events[row, column]}); remove or repair them"
        )
    return events


def as_weights(name: str, weights: ArrayLike | None, n: int, *, signed: bool = False) -> Floats:
    """Return positive-sum float64 weights (n,), none negative unless `signed`; None means ones.

    Raises WeightError (wrong length, zero sum), NonFiniteError, NegativeWeightError.
    """
    if weights is None:
        return np.ones(n)
    w = np.array(weights, dtype=np.float64)
    if w.shape != (n,):
        raise WeightError(f"{name} has shape {w.shape}; expected ({n},), one weight for each event")
    if not np.isfinite(w).all():
        raise NonFiniteError(f"{name} has {int((~np.isfinite(w)).sum())} NaN or infinite values")
    if (w < 0).any() and not signed:
        raise NegativeWeightError(
            f"{name} has {int((w < 0).sum())} negative values (smallest {w.min():g}); the likelihood fit needs "
            "weights >= 0: resample them with unseen.positive_weights, or use statistic='linear'"
        )
    if w.sum() <= 0:
        raise WeightError(f"{name} sums to zero; at least one weight must be positive")
    return w


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a finite float above zero, else raise ConfigError."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is {value!r}; expected a number above zero") from error
    if not (np.isfinite(number) and number > 0):
        raise ConfigError(f"{name} is {value!r}; expected a finite number above zero")
    return number


def check_count(name: str, value: Any, smallest: int) -> int:
    """Return `value` as an int of at least `smallest`, else raise ConfigError."""
    try:
        number = int(value)
        valid = not isinstance(value, bool) and number == value and number >= smallest
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ConfigError(f"{name} is {value!r}; expected an integer of at least {smallest}")
    return number


def check_name(what: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among `known`, else raise UnknownNameError with the closest one."""
    options = list(known)
    if name not in options:
        raise UnknownNameError(f"unknown {what} '{name}'{did_you_mean(str(name), options)}")
    return name


def row_keys(x: Floats) -> Keys:
    """Return two 64-bit hashes of each row (2, n), of its values and of these in single precision.

    Equal rows have equal keys; the second ones find events again that one sample holds as float32.
    """
    with np.errstate(over="ignore"):
        return np.stack([_hash(x), _hash(x.astype(np.float32).astype(np.float64))])


def _hash(x: Floats) -> Keys:
    """Return one 64-bit hash for each row."""
    bits = (np.ascontiguousarray(x) + 0.0).view(np.uint64)  # + 0.0 makes -0.0 and 0.0 one value
    keys = np.full(len(x), _MIX, dtype=np.uint64)
    for column in bits.T:
        keys ^= column
        keys *= _MIX
        keys ^= keys >> _SHIFT
        keys *= _MIX
        keys ^= keys >> _SHIFT
    return keys


def match(keys: Keys, among: Keys) -> int:
    """Return how many `keys` (n,) occur in `among` (m,)."""
    if len(among) == 0:
        return 0
    keys, ordered = np.sort(keys), np.sort(among)  # numpy's isin hashes, many times slower on keys that hardly repeat
    at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return int(np.count_nonzero(ordered[at] == keys))


def repeats(keys: Keys) -> int:
    """Return how many `keys` (n,) occur more than once."""
    ordered = np.sort(keys)  # numpy's unique hashes, which is many times slower on keys that hardly repeat
    same = ordered[1:] == ordered[:-1]
    return int(np.count_nonzero(np.append(same, False) | np.insert(same, 0, False)))


def check_disjoint(name: str, keys: Keys, other_name: str, other: Keys) -> None:
    """Raise OverlapError if two samples, given by `row_keys`, share more events than repeated values explain.

    Coarse features (float32 in one dimension, integers) repeat by chance: the rate of repeats inside each sample says
    how many chance matches to expect between them. Features without repeats may share none.
    """
    for (mine, theirs), slack in zip(zip(keys, other, strict=True), (0.0, 1.0), strict=True):
        shared = min(match(mine, theirs), match(theirs, mine))  # repeated values match in clumps on one side
        if shared == 0:
            continue
        n, m = len(mine), len(theirs)
        by_chance = max(repeats(theirs) / m * n, repeats(mine) / n * m)
        if shared > by_chance + SIGMAS * np.sqrt(by_chance + slack):
            raise OverlapError(
                f"{shared} of {n} events of {name} are also in {other_name}; they must be disjoint: "
                "split the simulation before handing it in"
            )
