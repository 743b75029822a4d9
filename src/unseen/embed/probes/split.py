"""Events to fit a classifier on, and others to score it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.embed.probes.checks import as_target, as_weight
from unseen.embed.probes.mixture import reweighted, shares_of
from unseen.errors import ConfigError, NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.seeds import generator

__all__ = ["Part", "Split", "split"]


@dataclass(frozen=True, eq=False)
class Part:
    """Events x (n, d) of classes y (n,) below K, weights (n,), and groups (n,) whose rows belong together."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]
    group: NDArray[np.int64]

    def equal_shares(self, n_classes: int) -> NDArray[np.float64]:
        """Weights with which every class has the same share, (n,)."""
        return reweighted(self.weight, self.y, np.full(n_classes, 1.0 / n_classes))


@dataclass(frozen=True, eq=False)
class Split:
    """Both parts, weighted to the same composition; `shares` (K,) if that is given, None if it is the sample's own."""

    names: tuple[str, ...]
    fit: Part
    test: Part
    shares: NDArray[np.float64] | None


def split(
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    *,
    seed: int,
    test_fraction: float,
    groups: ArrayLike | None,
    weight: ArrayLike | None,
    mixture: Mapping[str, float] | None,
    allow_missing: bool = False,
) -> Split:
    """Set a random part of the groups aside, and weight each part to the mixture on its own.

    Classes without events, and events without weight or share, are left out. `allow_missing` lets z hold NaN.
    Errors: ShapeError, NonFiniteError, WeightError, ConfigError, UnknownProcessError, NotEnoughEventsError.
    """
    if not 0 < test_fraction < 1:
        raise ConfigError(f"test_fraction is {test_fraction}; it must be between 0 and 1")
    x = np.asarray(z, dtype=np.float64)
    if x.ndim != 2:
        raise ShapeError(f"z has shape {x.shape}; expected (n, d)")
    y, w = as_target(target, len(x), len(names)), as_weight(weight, len(x))
    if not (np.isfinite(x) | (np.isnan(x) & allow_missing)).all():
        raise NonFiniteError("the embedding has values that are not finite")
    group = np.unique(np.arange(len(x)) if groups is None else np.asarray(groups), return_inverse=True)[1]
    if group.shape != y.shape:
        raise ShapeError(f"groups have {len(group)} rows for {len(x)} events")
    present = [name for i, name in enumerate(names) if (w[y == i] > 0).any()]
    shares = None if mixture is None else shares_of(mixture, present)
    kept = present if shares is None else [name for name, share in zip(present, shares, strict=True) if share > 0]
    used = np.isin(y, [list(names).index(name) for name in kept]) & (w > 0)
    codes = np.searchsorted(np.unique(y[used]), y[used])
    test = _held(codes, group[used], seed, test_fraction, kept)
    shares = None if shares is None else shares[shares > 0]
    parts = [_part(x[used][side], codes[side], w[used][side], group[used][side], shares) for side in (~test, test)]
    return Split(tuple(kept), parts[0], parts[1], shares)


def _part(
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    shares: NDArray[np.float64] | None,
) -> Part:
    own = weight * (len(weight) / weight.sum())
    return Part(x, y, own if shares is None else reweighted(weight, y, shares), group)


def _held(
    y: NDArray[np.int64], group: NDArray[np.int64], seed: int, fraction: float, names: Sequence[str]
) -> NDArray[np.bool_]:
    if len(names) < 2:
        raise NotEnoughEventsError(f"a probe needs two classes or more; the events have {len(names)}")
    unique, code = np.unique(group, return_inverse=True)
    held = generator(seed, "probe", "split").permutation(len(unique)) < round(fraction * len(unique))
    test: NDArray[np.bool_] = held[code]
    for side in (test, ~test):
        missing = np.flatnonzero(np.bincount(y[side], minlength=len(names)) == 0)
        if len(missing):
            raise NotEnoughEventsError(f"class '{names[missing[0]]}' has too few events to fit and to test a probe")
    return test
