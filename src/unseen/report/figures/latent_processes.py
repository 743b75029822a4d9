"""Latent space of labelled simulation: processes as shaded contours, signals as lines over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.report.figures.latent_corner import MOST_COLUMNS, Cloud, LineStyle, draw_corner
from unseen.report.style import PROCESS_COLOURS

__all__ = ["latent_corner", "process_clouds", "signal_clouds"]

Floats = NDArray[np.floating[Any]]
BINS = 48
TAIL = 0.001  # share of a cloud on each side that the frame may leave out
MARGIN = 0.06
SIGNAL_MASSES = (0.9,)  # one contour: two of each of several signals hide the processes
# Dark and saturated, so that the lines stand before the shades of the processes.
SIGNAL_STYLES: tuple[tuple[str, LineStyle], ...] = (
    ("#bd1f01", "-"),
    ("#000000", (0, (5.0, 1.5))),
    ("#1b6d3c", (0, (1.2, 1.2))),
    ("#5b1fb4", (0, (6.0, 1.5, 1.2, 1.5))),
    ("#a4006a", (0, (3.0, 1.0, 1.0, 1.0, 1.0, 1.0))),
)


def latent_corner(
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    weight: ArrayLike | None = None,
    signals: Mapping[str, ArrayLike] | None = None,
    axis_names: Sequence[str] = (),
) -> Figure:
    """Corner plot of z (n, d) by class; call inside `hep_style`. Of more than eight columns the first eight are drawn.

    `target` (n,) indexes `names`; `signals`: name -> (m, d). Diagonal: every axis, scaled to equal height; below it
    the contours that hold 50 % and 90 % of each class, and 90 % of each signal.
    Errors: ShapeError, NonFiniteError, NotEnoughEventsError.
    """
    clouds = process_clouds(z, target, names, weight) + signal_clouds(signals or {}, np.shape(z)[1])
    d = min(np.shape(z)[1], MOST_COLUMNS)
    titles = list(axis_names) or [f"$z_{{{column + 1}}}$" for column in range(d)]
    if len(titles) < d:
        raise ShapeError(f"{len(titles)} axis_names for {d} columns")
    return draw_corner(clouds, [_edges(clouds, column) for column in range(d)], titles[:d])


def process_clouds(
    z: ArrayLike, target: ArrayLike, names: Sequence[str], weight: ArrayLike | None = None
) -> list[Cloud]:
    """A shaded cloud for each class with events, the largest first; classes beyond the colours become `other`."""
    x, y = _points("z", z), np.asarray(target)
    w = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    if y.shape != (len(x),) or w.shape != (len(x),):
        raise ShapeError(f"z has {len(x)} events, target {y.shape} and weight {w.shape}")
    codes = sorted(np.unique(y).tolist(), key=lambda code: -float(w[y == code].sum()))
    most = len(PROCESS_COLOURS)
    kept = codes if len(codes) <= most else codes[: most - 1]
    clouds = [
        Cloud(names[code], x[y == code], w[y == code], PROCESS_COLOURS[i], filled=True) for i, code in enumerate(kept)
    ]
    if len(kept) < len(codes):
        rest = ~np.isin(y, kept)
        clouds.append(Cloud("other", x[rest], w[rest], PROCESS_COLOURS[-1], filled=True))
    return clouds


def signal_clouds(signals: Mapping[str, ArrayLike], d: int) -> list[Cloud]:
    """A cloud of lines for each signal, (m, d)."""
    clouds = []
    for i, (name, points) in enumerate(signals.items()):
        x = _points(f"signal '{name}'", points)
        if x.shape[1] != d:
            raise ShapeError(f"signal '{name}' has {x.shape[1]} columns, z has {d}")
        colour, line = SIGNAL_STYLES[i % len(SIGNAL_STYLES)]
        clouds.append(Cloud(name, x, np.ones(len(x)), colour, line, width=1.4, masses=SIGNAL_MASSES))
    return clouds


def _points(name: str, values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ShapeError(f"{name} has shape {x.shape}; expected (n, d)")
    if not len(x):
        raise NotEnoughEventsError(f"{name} has no events")
    if not np.isfinite(x).all():
        raise NonFiniteError(f"{name} has values that are not finite")
    return x


def _edges(clouds: Sequence[Cloud], column: int) -> NDArray[np.float64]:
    """Equal bins over nearly all of every cloud, however few events it has."""
    ends = np.array([np.quantile(cloud.points[:, column], [TAIL, 1 - TAIL]) for cloud in clouds])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not high - low > 1e-9 * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    margin = MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, BINS + 1)
