"""Bins over the latent space, and the pair of columns in which the learned excess is easiest to see."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from unseen.report.inputs import Floats, ReportInputs

__all__ = ["Plane", "best_column", "best_plane", "edges_of", "frame", "mean_ratio"]

BINS = 40
TAIL = 0.001  # share of events on each side that a frame may leave out
SHOWN = 20  # most anomalous events that a frame tries to include


@dataclass(frozen=True)
class Plane:
    """Two columns of the embedding and the excess they make visible, in units of a binned chi-squared."""

    x: int
    y: int
    visible: float


def frame(inputs: ReportInputs, column: int) -> tuple[float, float]:
    """The range of a column: 99.8 % of reference and data, stretched towards the most anomalous events."""
    reference, data = inputs.z_reference[:, column], inputs.z_data[:, column]
    both = np.concatenate([reference, data]).astype(np.float64)
    low, high = np.quantile(both, [TAIL, 1 - TAIL])
    top = data[inputs.most_anomalous[:SHOWN]]
    reach = (high - low) / 2
    low, high = max(min(low, top.min()), low - reach), min(max(high, top.max()), high + reach)
    if not high - low > 1e-9 * max(1.0, abs(low)):
        return float(low) - 0.5, float(high) + 0.5
    margin = 0.04 * (high - low)
    return float(low - margin), float(high + margin)


def edges_of(inputs: ReportInputs, column: int, bins: int = BINS) -> NDArray[np.float64]:
    """Equal bins over the frame of a column."""
    return np.linspace(*frame(inputs, column), bins + 1)


def cells(values: Floats, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each value; what lies outside is counted in the first or last bin."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int64)


def visibility(inputs: ReportInputs, cell: NDArray[np.int64]) -> float:
    """sum over bins of (learned excess)^2 / (expected + 1); the 1 keeps almost empty bins from winning."""
    weight = inputs.weight_reference
    expected = np.bincount(cell, weights=weight)
    excess = np.bincount(cell, weights=weight * (inputs.ratio_reference - 1.0))
    return float((excess**2 / (np.abs(expected) + 1.0)).sum())


def best_plane(inputs: ReportInputs) -> Plane:
    """The pair of columns with the largest visibility; needs two columns."""
    coarse = BINS // 2
    cell = [cells(inputs.z_reference[:, c], edges_of(inputs, c, coarse)) for c in range(inputs.dimensions)]
    scores = [
        Plane(x, y, visibility(inputs, cell[x] * coarse + cell[y]))
        for x, y in combinations(range(inputs.dimensions), 2)
    ]
    return max(scores, key=lambda plane: plane.visible)


def best_column(inputs: ReportInputs) -> int:
    """The single column with the largest visibility."""
    scores = [
        visibility(inputs, cells(inputs.z_reference[:, c], edges_of(inputs, c))) for c in range(inputs.dimensions)
    ]
    return int(np.argmax(scores))


def mean_ratio(
    inputs: ReportInputs, columns: tuple[int, ...], edges: tuple[NDArray[np.float64], ...], at_least: int = 3
) -> NDArray[np.float64]:
    """Weighted mean of exp f of the reference events in every bin; NaN where fewer than `at_least` events fall."""
    points = [inputs.z_reference[:, c].astype(np.float64) for c in columns]
    weight = np.asarray(inputs.weight_reference, np.float64)
    events = np.histogramdd(points, bins=edges)[0]
    total = np.histogramdd(points, bins=edges, weights=weight)[0]
    learned = np.histogramdd(points, bins=edges, weights=weight * inputs.ratio_reference)[0]
    usable = (events >= at_least) & (total > 0)
    return np.where(usable, learned / np.where(usable, total, 1.0), np.nan)
