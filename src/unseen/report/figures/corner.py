"""Corner plot: every latent axis, and every pair of them, by process."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from unseen.report.groups import Group, groups
from unseen.report.inputs import Floats, ReportInputs
from unseen.report.planes import edges_of
from unseen.report.plot import Plot
from unseen.report.style import DATA, TRUTH, WIDTH, new_figure
from unseen.report.wording import count

__all__ = ["MOST_COLUMNS", "contours", "corner", "mass_levels"]

MOST_COLUMNS = 8
BINS = 32
SMOOTHING = (1.0, 2.5)  # bins, for many and for few events
MANY = 5000
MASSES = (0.9, 0.5)
FEW = 40  # fewer events than this are drawn as dots: a contour would be noise


def corner(inputs: ReportInputs) -> Plot:
    """Lower triangle: contours that hold 50 % and 90 % of a process; diagonal: each axis, normalised."""
    d = min(inputs.dimensions, MOST_COLUMNS)
    size = max(WIDTH, 1.25 * d)
    figure = new_figure(size, size, constrained=False)
    figure.subplots_adjust(left=0.11, right=0.985, bottom=0.09, top=0.97, wspace=0.06, hspace=0.06)
    axes = figure.subplots(d, d, squeeze=False)
    edges = [edges_of(inputs, c, BINS) for c in range(d)]
    parts = groups(inputs)
    for row in range(d):
        for column in range(d):
            axis = axes[row, column]
            if column > row:
                axis.set_axis_off()
                continue
            if column == row:
                _diagonal(axis, inputs, parts, column, edges[column])
            else:
                _pair(axis, inputs, parts, (column, row), (edges[column], edges[row]))
            _label(axis, inputs, row, column, d)
    _legend(axes, inputs, parts)
    return Plot("corner", figure, _alt(inputs, parts, d), _caption(inputs, d), wide=d > 3)


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


def _pair(
    axis: Axes,
    inputs: ReportInputs,
    parts: list[Group],
    columns: tuple[int, int],
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    for group in parts:
        points = inputs.z_reference[group.mask][:, columns]
        _cloud(axis, points, np.maximum(inputs.weight_reference[group.mask], 0), edges, group.colour, group.line)
    signal = inputs.is_signal
    if signal is not None and signal.any():
        points = inputs.z_data[signal][:, columns]
        _cloud(axis, points, np.ones(len(points)), edges, TRUTH, "-")
    axis.set_xlim(edges[0][0], edges[0][-1])
    axis.set_ylim(edges[1][0], edges[1][-1])


def _cloud(
    axis: Axes,
    points: Floats,
    weight: Floats,
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
    colour: str,
    line: str,
) -> None:
    if len(points) < FEW:
        axis.scatter(points[:, 0], points[:, 1], s=5, color=colour, linewidths=0)
    else:
        contours(axis, points, edges, colour, MASSES, line, weight)


def contours(
    axis: Axes,
    points: Floats,
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
    colour: str,
    masses: tuple[float, ...],
    line: str = "-",
    weight: Floats | None = None,
) -> None:
    """Draw the smoothed contours that hold the given shares of the points (n, 2)."""
    density = np.histogramdd(points.astype(np.float64), bins=edges, weights=weight)[0]
    density = gaussian_filter(density, _smoothing(len(points)))
    levels = mass_levels(density, masses)
    if levels:
        x, y = ((e[1:] + e[:-1]) / 2 for e in edges)
        axis.contour(x, y, density.T, levels=levels, colors=colour, linestyles=line, linewidths=1.1)


def _smoothing(n: int) -> float:
    return float(np.clip((MANY / n) ** (1 / 6), *SMOOTHING))  # a kernel estimate in 2-d narrows as n^(-1/6)


def _diagonal(axis: Axes, inputs: ReportInputs, parts: list[Group], column: int, edges: NDArray[np.float64]) -> None:
    def step(values: Floats, weight: Floats | None, colour: str, line: str, thickness: float) -> None:
        bins = edges if len(values) > 500 else edges[::2]
        height = np.histogram(values, bins, weights=weight)[0].astype(np.float64)
        if height.max() > 0:
            axis.stairs(height / height.max(), bins, color=colour, ls=line, lw=thickness)

    for group in parts:
        step(inputs.z_reference[group.mask, column], inputs.weight_reference[group.mask], group.colour, group.line, 1.2)
    step(inputs.z_data[:, column], None, DATA, "-", 0.9)
    signal = inputs.is_signal
    if signal is not None and signal.any():
        step(inputs.z_data[signal, column], None, TRUTH, "-", 1.2)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1.15)


def _label(axis: Axes, inputs: ReportInputs, row: int, column: int, d: int) -> None:
    axis.tick_params(which="both", labelsize=7.5, length=3)
    axis.tick_params(which="minor", length=1.5)
    axis.locator_params(nbins=3)
    axis.minorticks_off()
    bottom, left = row == d - 1, column == 0 and row > 0
    axis.tick_params(labelbottom=bottom, labelleft=left)
    if bottom:
        axis.set_xlabel(inputs.axis_name(column), loc="center")
    if left:
        axis.set_ylabel(inputs.axis_name(row), loc="center")
    if row == column:
        axis.set_yticks([])


def _legend(axes: NDArray[np.object_], inputs: ReportInputs, parts: list[Group]) -> None:
    entries = [(group.name, Line2D([], [], color=group.colour, ls=group.line)) for group in parts]
    entries.append(("data (diagonal)", Line2D([], [], color=DATA, lw=0.9)))
    if inputs.is_signal is not None and inputs.is_signal.any():
        entries.append((f"{inputs.signal_label} (truth)", Line2D([], [], color=TRUTH)))
    labels, lines = zip(*entries, strict=True)
    if len(axes) == 1:
        axes[0, 0].legend(lines, labels, loc="upper right")
    else:
        axes[0, -1].legend(lines, labels, loc="upper right", borderaxespad=0.0)


def _alt(inputs: ReportInputs, parts: list[Group], d: int) -> str:
    medians = []
    for group in parts:
        middle = np.median(inputs.z_reference[group.mask][:, :d], axis=0)
        medians.append(f"{group.name} ({', '.join(f'{value:.2g}' for value in middle)})")
    return (
        f"Corner plot of {d} latent axes for {len(parts)} processes and {count(len(inputs.z_data))} data events. "
        f"Medians by process: {'; '.join(medians)}."
    )


def _caption(inputs: ReportInputs, d: int) -> str:
    text = (
        "Diagonal: each latent axis by process, scaled to equal height, with the data in black. Below it: every pair "
        "of axes; the inner contour of a process holds 50 % of its events, the outer one 90 %. Processes that separate "
        "here are told apart by the embedding."
    )
    if d < inputs.dimensions:
        text += f" Only the first {d} of {inputs.dimensions} axes are shown."
    return text
