"""Latent scatter: simulation by process beside the data, in the plane where the excess is easiest to see."""

from __future__ import annotations

import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unseen.report.figures.poisson import garwood
from unseen.report.groups import groups
from unseen.report.inputs import ReportInputs
from unseen.report.planes import best_plane, edges_of, frame
from unseen.report.plot import Plot
from unseen.report.style import DATA, RASTER_ABOVE, TRUTH, WIDTH, new_figure
from unseen.report.wording import count

__all__ = ["draw_reference", "latent_scatter", "legend_above"]

MOST_POINTS = 6000


def latent_scatter(inputs: ReportInputs) -> Plot:
    """Two scatter panels for two columns or more, histograms for one."""
    if inputs.dimensions == 1:
        return _one_column(inputs)
    plane = best_plane(inputs)
    figure = new_figure(3.5, 1.25 * WIDTH)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    shown = draw_reference(left, inputs, plane.x, plane.y, MOST_POINTS)
    drawn = _draw_data(right, inputs, plane.x, plane.y)
    left.set_title(inputs.reference_word, loc="left", fontsize=11)
    right.set_title("data", loc="left", fontsize=11)
    for axis in (left, right):
        axis.set_xlim(*frame(inputs, plane.x))
        axis.set_ylim(*frame(inputs, plane.y))
        axis.set_xlabel(inputs.axis_name(plane.x))
    left.set_ylabel(inputs.axis_name(plane.y))
    legend_above(figure, [left, right])
    alt = (
        f"Scatter of the embedding, {inputs.axis_name(plane.x)} against {inputs.axis_name(plane.y)}. Left: "
        f"{_by_process(inputs)}. Right: {count(len(inputs.z_data))} data events{_signal_words(inputs)}."
    )
    caption = (
        "Each dot is one event; events that look alike lie close together. Of the pairs of latent axes, this one shows "
        f"the learned excess best. Left: {count(shown)} {inputs.reference_word} events in proportion to their expected "
        f"yield. Right: {drawn}. Look for dots on the right where there are none on the left."
    )
    return Plot("latent", figure, alt, caption + _truth_caption(inputs, "Red circles mark"), wide=True)


def draw_reference(axis: Axes, inputs: ReportInputs, x: int, y: int, most: int) -> int:
    """Draw as many reference events as there are data, in proportion to their weight; returns how many."""
    n = min(len(inputs.z_data), most)
    rows = _sample(inputs, n)
    points = inputs.z_reference[rows]
    for group in groups(inputs):
        mine = points[group.mask[rows]]
        axis.scatter(
            mine[:, x],
            mine[:, y],
            s=_size(n),
            color=group.colour,
            marker=group.marker,
            linewidths=0,
            alpha=0.7,
            label=group.name,
            rasterized=n > RASTER_ABOVE,
        )
    return len(rows)


def legend_above(figure: Figure, axes: list[Axes], columns: int = 4) -> None:
    """One legend over all panels, where it hides no point."""
    entries = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if entries:
        legend = figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=columns)
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)
                if hasattr(handle, "set_sizes"):
                    handle.set_sizes([28])


def _draw_data(axis: Axes, inputs: ReportInputs, x: int, y: int) -> str:
    """Draw the data, the known signal in full and of the rest at most MOST_POINTS; returns what was drawn."""
    signal = inputs.is_signal
    background = np.ones(len(inputs.z_data), np.bool_) if signal is None else ~signal
    every = np.flatnonzero(background)
    rows = every[np.linspace(0, len(every) - 1, min(len(every), MOST_POINTS), dtype=int)]
    raster = len(rows) > RASTER_ABOVE
    axis.scatter(
        inputs.z_data[rows, x],
        inputs.z_data[rows, y],
        s=_size(len(rows)),
        color=DATA,
        linewidths=0,
        alpha=0.5,
        label="data",
        rasterized=raster,
    )
    if signal is not None and signal.any():
        points = inputs.z_data[signal]
        axis.scatter(
            points[:, x],
            points[:, y],
            s=16,
            facecolors="none",
            edgecolors=TRUTH,
            linewidths=0.9,
            label=f"hidden signal {inputs.signal_label} (truth)",
            rasterized=len(points) > RASTER_ABOVE,
        )
    return "the data" if len(rows) == len(every) else f"{count(len(rows))} of the {count(len(every))} data events"


def _one_column(inputs: ReportInputs) -> Plot:
    figure = new_figure(3.4)
    axis = figure.subplots()
    edges = edges_of(inputs, 0)
    parts = groups(inputs)[::-1]
    column = inputs.z_reference[:, 0]
    mplhep.histplot(
        [np.histogram(column[g.mask], edges, weights=inputs.weight_reference[g.mask])[0] for g in parts],
        edges,
        ax=axis,
        stack=True,
        histtype="fill",
        color=[g.colour for g in parts],
        label=[g.name for g in parts],
        flow="none",
    )
    observed = np.histogram(inputs.z_data[:, 0], edges)[0].astype(np.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    axis.errorbar(centres, observed, np.stack(garwood(observed)), fmt="o", ms=3, color=DATA, lw=1, label="data")
    signal = inputs.is_signal
    if signal is not None and signal.any():
        truth = np.histogram(inputs.z_data[signal, 0], edges)[0]
        axis.stairs(truth, edges, color=TRUTH, lw=1.5, label=f"hidden signal {inputs.signal_label} (truth)")
    axis.set_xlabel(inputs.axis_name(0))
    axis.set_ylabel("events per bin")
    legend_above(figure, [axis], 3)
    alt = (
        f"Histogram of the only latent axis: {_by_process(inputs)}; {count(len(inputs.z_data))} data events"
        f"{_signal_words(inputs)}."
    )
    filled = f"The embedding has one axis. Filled: {inputs.reference_word} by process."
    caption = f"{filled} Points: data with 68 % Garwood errors."
    return Plot("latent", figure, alt, caption + _truth_caption(inputs, "The red line is"))


def _sample(inputs: ReportInputs, n: int) -> NDArray[np.int64]:
    """Rows drawn without replacement in proportion to |weight|; the same rows for the same inputs."""
    keys = np.random.default_rng(0).exponential(size=len(inputs.z_reference))
    weight = np.abs(np.asarray(inputs.weight_reference, np.float64))
    keys = np.where(weight > 0, keys / np.where(weight > 0, weight, 1.0), np.inf)
    rows = np.sort(np.argsort(keys, kind="stable")[:n])
    return rows[np.isfinite(keys[rows])].astype(np.int64)


def _size(n: int) -> float:
    return float(np.clip(6000 / max(n, 1), 2.5, 14))


def _by_process(inputs: ReportInputs) -> str:
    return ", ".join(f"{group.name} ({count(group.expected)} expected)" for group in groups(inputs))


def _signal_words(inputs: ReportInputs) -> str:
    signal = inputs.is_signal
    return (
        "" if signal is None else f", of which {count(int(signal.sum()))} are the hidden signal {inputs.signal_label}"
    )


def _truth_caption(inputs: ReportInputs, mark: str) -> str:
    if inputs.is_signal is None or not inputs.is_signal.any():
        return ""
    return f" {mark} the hidden signal, known because these data were simulated; the search did not see it."
