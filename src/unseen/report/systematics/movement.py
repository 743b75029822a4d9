"""How the events move with nu: densities in bins, displacements, and what of it is worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from unseen.report.systematics.inputs import Floats, SystematicsInputs

__all__ = [
    "Slide",
    "bins_of",
    "displacement",
    "edges_of",
    "equal_shares",
    "movement",
    "shown_axes",
    "shown_names",
    "shown_planes",
    "slide",
    "strongest",
]

Array = NDArray[np.float64]

BINS = (6, 24)  # of an axis, for few and for many events
PER_BIN = 100  # nominal events
TAIL = 0.015  # share of the nominal events on each side that a frame leaves out
MARGIN = 0.04
MOST_NAMES = 6
MOST_AXES = 4


@dataclass(frozen=True, eq=False)
class Slide:
    """One latent axis under one nuisance parameter, in bins: yields (b,), at the values of nu (v, b).

    `predicted`: nominal events weighted by the ratio; `error`: standard error of predicted - actual (same events);
    `noise`: variance of actual - nominal; `number`: plain nominal events.
    """

    edges: Array
    nominal: Array
    actual: Array
    predicted: Array
    error: Array
    noise: Array
    number: Array


def bins_of(inputs: SystematicsInputs) -> int:
    """How many bins the events are enough for."""
    return int(np.clip(inputs.selected.sum() // PER_BIN, *BINS))


def edges_of(inputs: SystematicsInputs, column: int, bins: int) -> Array:
    """Bins of equal width over 97 % of the nominal events."""
    low, high = np.quantile(inputs.z[inputs.selected, column], [TAIL, 1 - TAIL])
    if not high - low > 1e-9 * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    margin = MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, bins + 1)


def equal_shares(inputs: SystematicsInputs, column: int, bins: int) -> Array:
    """Edges of bins with equally many nominal events; fewer bins where many events have the same value."""
    edges = np.unique(np.quantile(inputs.z[inputs.selected, column], np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def slide(inputs: SystematicsInputs, nuisance: int, column: int, edges: Array | None = None) -> Slide:
    """The densities of a latent axis at the values of a nuisance parameter, and what the ratio says they are.

    In bins with equally many nominal events unless `edges` are given.
    """
    edges = equal_shares(inputs, column, bins_of(inputs)) if edges is None else edges
    bins = len(edges) - 1
    here = _bin(inputs.z[:, column], edges)
    nominal, number = _sums(here, inputs.weight, bins), _sums(here, inputs.selected, bins)
    found = []
    for i in range(len(inputs.values)):
        there = _bin(inputs.z_at[nuisance, i, :, column], edges)
        weight = inputs.weight_at[nuisance, i]
        reweighted = inputs.weight * np.exp(inputs.log_ratio[nuisance, i])
        error = np.sqrt(_variance(here, there, reweighted, weight, bins))
        noise = _variance(here, there, inputs.weight, weight, bins)
        found.append((_sums(there, weight, bins), _sums(here, reweighted, bins), error, noise))
    actual, predicted, error, noise = (np.array(each) for each in zip(*found, strict=True))
    return Slide(edges, nominal, actual, predicted, error, noise, number)


def movement(inputs: SystematicsInputs, shape: bool = False) -> Array:
    """How far every nuisance parameter moves every latent axis, (k, d): chi-squared per event, noise taken off.

    With `shape` a change of the yield does not count.
    """
    return np.array(
        [
            [_moved(slide(inputs, nuisance, column), shape) for column in range(inputs.dimensions)]
            for nuisance in range(len(inputs.names))
        ]
    )


def strongest(inputs: SystematicsInputs, columns: Sequence[int]) -> list[int]:
    """The nuisance parameter that changes the shape of each of these axes most; where none does, the yield on it."""
    shapes, rates = movement(inputs, shape=True), movement(inputs)
    return [int(np.argmax((shapes if shapes[:, column].any() else rates)[:, column])) for column in columns]


def shown_names(inputs: SystematicsInputs, most: int = MOST_NAMES) -> list[int]:
    """The nuisance parameters that move the embedding most, in the order of the table."""
    strength = movement(inputs).sum(axis=1)
    return sorted(np.argsort(-strength, kind="stable")[:most].tolist())


def shown_axes(inputs: SystematicsInputs, most: int = MOST_AXES) -> list[int]:
    """The latent axes that are moved most, in order."""
    strength = movement(inputs).sum(axis=0)
    return sorted(np.argsort(-strength, kind="stable")[:most].tolist())


def displacement(inputs: SystematicsInputs, nuisance: int) -> tuple[Array, NDArray[np.bool_]]:
    """dz/dnu of every event (n, d), by the outermost values, and which events are selected at nominal and at both."""
    low, high = inputs.z_at[nuisance, 0], inputs.z_at[nuisance, -1]
    there = inputs.selected & (inputs.weight_at[nuisance, [0, -1]] > 0).all(axis=0)
    slope = (high.astype(np.float64) - low) / (inputs.values[-1] - inputs.values[0])
    return slope, there


def shown_planes(inputs: SystematicsInputs, nuisances: list[int]) -> list[tuple[int, int]]:
    """Two pairs of latent axes at most: the one moved most, and the one moved most among the axes that are left."""
    spread = inputs.z[inputs.selected].std(axis=0)
    strength = np.zeros(inputs.dimensions)
    for nuisance in nuisances:
        slope, there = displacement(inputs, nuisance)
        size = np.abs(slope[there]).mean(axis=0) / np.maximum(spread, 1e-12)
        strength += size / max(float(size.max()), 1e-12)  # every parameter counts the same
    planes: list[tuple[int, int]] = []
    left = list(range(inputs.dimensions))
    while len(left) >= 2 and len(planes) < 2:
        best = max(combinations(left, 2), key=lambda pair: float(strength[list(pair)].sum()))
        planes.append(best)
        left = [column for column in left if column not in best]
    return planes


def _moved(found: Slide, shape: bool) -> float:
    used = found.nominal > 0
    scale = found.nominal.sum() / np.maximum(found.actual.sum(axis=1, keepdims=True), 1e-300) if shape else 1.0
    change = ((scale * found.actual - found.nominal) ** 2 - found.noise)[:, used] / found.nominal[used]
    return max(float(change.sum(axis=1).mean() / found.nominal.sum()), 0.0)


def _variance(here: NDArray[np.int64], there: NDArray[np.int64], before: Floats, after: Floats, bins: int) -> Array:
    """Of the difference of two histograms of the same events with weights `before` and `after`."""
    stays = here == there  # such an event counts once, with the difference; one that moves on counts in both bins
    variance = _sums(here, np.where(stays, before - after, before) ** 2, bins)
    variance += _sums(there, np.where(stays, 0.0, after) ** 2, bins)
    return variance


def _bin(values: NDArray[np.floating], edges: Array) -> NDArray[np.int64]:
    """Bin of each value; what lies outside is counted in the first or last bin."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int64)


def _sums(cell: NDArray[np.int64], weight: NDArray[np.generic], bins: int) -> Array:
    sums: Array = np.bincount(cell, weights=weight.astype(np.float64), minlength=bins).astype(np.float64)
    return sums
