"""The learned ratio exp f over the latent plane: where the fit wants more data than the simulation gives."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from unseen.report.inputs import ReportInputs
from unseen.report.planes import SHOWN, best_plane, edges_of, mean_ratio
from unseen.report.plot import Plot
from unseen.report.style import DATA, LEARNED, new_figure
from unseen.report.wording import number

__all__ = ["colour_norm", "draw_map", "ratio_map", "ratio_ticks"]

COLOURS = "PuOr_r"
WIDEST, NARROWEST = 30.0, 1.25  # limits of the colour scale, as ratios
TYPICAL = 0.98  # share of the bins that the scale must hold; single bins may lie beyond
TICKS = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
MOST_TICKS = 4
CROWDED = 0.2  # share of the axis around 1 that has no other tick
NO_EVENTS = "#e8e8e8"


def ratio_map(inputs: ReportInputs) -> Plot:
    """Mean exp f per bin: a map for two columns or more, a step for one."""
    return _one_column(inputs) if inputs.dimensions == 1 else _map(inputs)


def colour_norm(ratio: NDArray[np.float64], share: float = TYPICAL) -> LogNorm:
    """A logarithmic scale that is symmetric around 1 and spans this share of the bins."""
    finite = ratio[np.isfinite(ratio) & (ratio > 0)]
    reach = float(np.exp(np.quantile(np.abs(np.log(finite)), share))) if finite.size else NARROWEST
    reach = float(np.clip(reach, NARROWEST, WIDEST))
    return LogNorm(1 / reach, reach)


def ratio_ticks(norm: LogNorm) -> list[float]:
    """Round ratios inside a scale, at most four above 1 and as many below."""
    assert norm.vmax is not None
    above = [tick for tick in TICKS if norm.vmax**CROWDED < tick <= norm.vmax]
    above = above[:: -(-len(above) // MOST_TICKS)]
    return [*(1 / tick for tick in reversed(above)), 1.0, *above]


def draw_map(axis: Axes, inputs: ReportInputs, x: int, y: int) -> tuple[ScalarMappable, NDArray[np.float64]]:
    """Draw the map; returns what a colour bar needs and the mean ratio per bin."""
    edges = (edges_of(inputs, x), edges_of(inputs, y))
    ratio = mean_ratio(inputs, (x, y), edges)
    axis.set_facecolor(NO_EVENTS)
    norm = colour_norm(ratio)
    shown = np.ma.masked_invalid(np.clip(ratio, norm.vmin, norm.vmax)).T
    mesh = axis.pcolormesh(*edges, shown, cmap=COLOURS, norm=norm, rasterized=True)
    axis.set_xlim(edges[0][0], edges[0][-1])
    axis.set_ylim(edges[1][0], edges[1][-1])
    axis.set_xlabel(inputs.axis_name(x))
    axis.set_ylabel(inputs.axis_name(y))
    return mesh, ratio


def _map(inputs: ReportInputs) -> Plot:
    plane = best_plane(inputs)
    figure = new_figure(4.1)
    axis = figure.subplots()
    mesh, ratio = draw_map(axis, inputs, plane.x, plane.y)
    top = inputs.z_data[inputs.most_anomalous[:SHOWN]][:, [plane.x, plane.y]]
    axis.scatter(top[:, 0], top[:, 1], s=20, facecolors="none", edgecolors=DATA, linewidths=1.0)
    bar = figure.colorbar(mesh, ax=axis, pad=0.02, label="mean exp f (data / simulation)")
    _label_ratios(bar.ax, colour_norm(ratio))
    names = f"{inputs.axis_name(plane.x)} and {inputs.axis_name(plane.y)}"
    alt = (
        f"Map of the mean learned ratio exp f over {names}: {_extremes(ratio)}. {len(top)} circles: the most anomalous "
        "data events."
    )
    caption = (
        f"What the fit learned: orange, more data than simulated; violet, fewer; white, agreement; grey, fewer than "
        f"three simulated events. Circles: the {len(top)} most anomalous data events. Axes {names} were chosen because "
        f"the learned excess, binned, is largest there (chi-squared {number(plane.visible)}). Colours beyond the scale "
        "take its last colour; single bins fluctuate, broad regions matter."
    )
    return Plot("ratio", figure, alt, caption)


def _one_column(inputs: ReportInputs) -> Plot:
    figure = new_figure(3.2)
    axis = figure.subplots()
    edges = edges_of(inputs, 0)
    ratio = mean_ratio(inputs, (0,), (edges,))
    axis.axhline(1.0, color="0.6", lw=1)
    axis.stairs(ratio, edges, color=LEARNED, lw=1.8, baseline=None)
    norm = colour_norm(ratio, share=1.0)
    axis.set_yscale("log")
    axis.set_ylim(norm.vmin, norm.vmax)
    _label_ratios(axis, norm)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_xlabel(inputs.axis_name(0))
    axis.set_ylabel("mean exp f")
    caption = "What the fit learned, along the only latent axis: above 1, more data than simulated; below, fewer."
    return Plot("ratio", figure, f"Mean learned ratio exp f along the latent axis: {_extremes(ratio)}.", caption)


def _label_ratios(axis: Axes, norm: LogNorm) -> None:
    axis.yaxis.set_major_locator(FixedLocator(ratio_ticks(norm)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}" if value < 1 else f"{value:g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _extremes(ratio: NDArray[np.float64]) -> str:
    finite = ratio[np.isfinite(ratio)]
    if not finite.size:
        return "no bin holds three simulated events"
    return f"smallest {number(float(finite.min()))}, largest {number(float(finite.max()))}"
