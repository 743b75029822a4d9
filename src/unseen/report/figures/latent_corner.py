"""The drawing of a corner plot: every latent axis, and every pair of them, for any set of clouds of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from unseen.report.style import WIDTH, new_figure

__all__ = ["BINS", "MOST_COLUMNS", "Cloud", "contours", "draw_corner", "mass_levels"]

Floats = NDArray[np.floating[Any]]
Edges = NDArray[np.float64]
LineStyle = str | tuple[int, tuple[float, ...]]

MOST_COLUMNS = 8
BINS = 32
SMOOTHING = (1.0, 2.5)  # bins, for many and for few events
MANY = 5000
MASSES = (0.9, 0.5)
FEW = 40  # fewer events than this are drawn as dots: a contour would be noise
SHADES = (0.18, 0.45)  # opacity outside and inside the inner contour of a filled cloud


@dataclass(frozen=True, eq=False)
class Cloud:
    """Events of one kind: points (n, d), weights (n,), and how they are drawn.

    `filled`: shaded contours below lines; `pairs` False: on the diagonal only; `masses`: shares that contours hold.
    """

    name: str
    points: Floats
    weight: Floats
    colour: str
    line: LineStyle = "-"
    width: float = 1.1
    filled: bool = False
    pairs: bool = True
    masses: tuple[float, ...] = MASSES


def draw_corner(clouds: Sequence[Cloud], edges: Sequence[Edges], axis_names: Sequence[str]) -> Figure:
    """Diagonal: each axis, scaled to equal height; below it the contours that hold the given shares of each cloud.

    `edges`: the bins of each column drawn; `axis_names` as many.
    """
    d = len(edges)
    size = max(WIDTH, 1.25 * d)
    figure = new_figure(size, size, constrained=False)
    figure.subplots_adjust(left=0.11, right=0.985, bottom=0.09, top=0.97, wspace=0.06, hspace=0.06)
    axes = figure.subplots(d, d, squeeze=False)
    for row in range(d):
        for column in range(d):
            axis = axes[row, column]
            if column > row:
                axis.set_axis_off()
                continue
            if column == row:
                _diagonal(axis, clouds, column, edges[column])
            else:
                _pair(axis, clouds, (column, row), (edges[column], edges[row]))
            _label(axis, axis_names, row, column, d)
    _legend(axes, clouds)
    return figure


def mass_levels(density: NDArray[np.float64], masses: tuple[float, ...] = MASSES) -> list[float]:
    """Heights above which the given shares of a density lie, ascending, distinct and inside its range.

    >>> mass_levels(np.array([[4.0, 3.0], [2.0, 1.0]]), (0.9, 0.5))
    [2.0, 3.0]
    """
    flat = np.sort(density, axis=None)[::-1]
    if not flat.size or flat[0] <= 0:
        return []
    share = np.cumsum(flat) / flat.sum()
    levels = {float(flat[np.searchsorted(share, mass)]) for mass in masses}
    return sorted(level for level in levels if flat[-1] < level < flat[0])


def contours(
    axis: Axes,
    points: Floats,
    edges: tuple[Edges, Edges],
    colour: str,
    masses: tuple[float, ...] = MASSES,
    line: LineStyle = "-",
    weight: Floats | None = None,
    width: float = 1.1,
    filled: bool = False,
) -> None:
    """Draw the smoothed contours that hold the given shares of the points (n, 2)."""
    density = np.histogramdd(points.astype(np.float64), bins=edges, weights=weight)[0]
    density = gaussian_filter(density, _smoothing(len(points)))
    levels = mass_levels(density, masses)
    if not levels:
        return
    x, y = ((e[1:] + e[:-1]) / 2 for e in edges)
    if filled:
        shades = [to_rgba(colour, alpha) for alpha in SHADES[-len(levels) :]]
        axis.contourf(x, y, density.T, levels=[*levels, np.inf], colors=shades)
    axis.contour(x, y, density.T, levels=levels, colors=colour, linestyles=[line], linewidths=width)


def _smoothing(n: int) -> float:
    return float(np.clip((MANY / n) ** (1 / 6), *SMOOTHING))  # a kernel estimate in 2-d narrows as n^(-1/6)


def _pair(axis: Axes, clouds: Sequence[Cloud], columns: tuple[int, int], edges: tuple[Edges, Edges]) -> None:
    for cloud in clouds:
        if not cloud.pairs:
            continue
        points = cloud.points[:, columns]
        if len(points) < FEW:
            axis.scatter(points[:, 0], points[:, 1], s=5, color=cloud.colour, linewidths=0)
        else:
            weight = np.maximum(cloud.weight, 0)
            contours(axis, points, edges, cloud.colour, cloud.masses, cloud.line, weight, cloud.width, cloud.filled)
    axis.set_xlim(edges[0][0], edges[0][-1])
    axis.set_ylim(edges[1][0], edges[1][-1])


def _diagonal(axis: Axes, clouds: Sequence[Cloud], column: int, edges: Edges) -> None:
    for cloud in clouds:
        bins = edges if len(cloud.points) > 500 else edges[::2]
        height = np.histogram(cloud.points[:, column], bins, weights=cloud.weight)[0].astype(np.float64)
        if height.max() <= 0:
            continue
        height /= height.max()
        if cloud.filled:
            axis.stairs(height, bins, color=cloud.colour, alpha=SHADES[0], fill=True)
        axis.stairs(height, bins, color=cloud.colour, ls=cloud.line, lw=cloud.width)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1.15)


def _label(axis: Axes, axis_names: Sequence[str], row: int, column: int, d: int) -> None:
    axis.tick_params(which="both", labelsize=7.5, length=3)
    axis.tick_params(which="minor", length=1.5)
    axis.locator_params(nbins=3)
    axis.minorticks_off()
    bottom, left = row == d - 1, column == 0 and row > 0
    axis.tick_params(labelbottom=bottom, labelleft=left)
    if bottom:
        axis.set_xlabel(axis_names[column], loc="center")
    if left:
        axis.set_ylabel(axis_names[row], loc="center")
    if row == column:
        axis.set_yticks([])


def _legend(axes: NDArray[np.object_], clouds: Sequence[Cloud]) -> None:
    handles: list[Line2D | Patch] = []
    for cloud in clouds:
        if cloud.filled:
            handles.append(Patch(facecolor=to_rgba(cloud.colour, SHADES[1]), edgecolor=cloud.colour, lw=cloud.width))
        else:
            handles.append(Line2D([], [], color=cloud.colour, ls=cloud.line, lw=cloud.width))
    names = [cloud.name for cloud in clouds]
    if len(axes) == 1:
        axes[0, 0].legend(handles, names, loc="upper right")
    else:
        axes[0, -1].legend(handles, names, loc="upper right", borderaxespad=0.0)
