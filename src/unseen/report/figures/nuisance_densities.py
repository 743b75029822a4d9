"""Latent densities that slide with nuisance parameters, with what the density ratio predicts on top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from unseen.report.plot import Plot
from unseen.report.style import LEARNED, PROCESS_COLOURS, WIDTH, new_figure
from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.systematics.movement import Slide, bins_of, edges_of, shown_axes, shown_names, slide, strongest

__all__ = ["density_figure", "response_figure"]

COLOURS = (PROCESS_COLOURS[0], LEARNED)
NOMINAL = "#333333"
FILL = "#d9dce0"
LEAST = 30  # nominal events in a bin whose ratio is drawn
WIDEST, NARROWEST = 0.9, 0.03  # half range of the ratios
ROOM = 1.15


def density_figure(inputs: SystematicsInputs) -> Plot:
    """Every latent axis at the values of the nuisance parameter that bends it most; call inside `hep_style`."""
    axes = shown_axes(inputs)
    pairs = list(zip(strongest(inputs, axes), axes, strict=True))
    columns = min(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    figure = new_figure(2.4 * rows + 0.5, WIDTH if columns == 1 else 1.6 * WIDTH)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (nuisance, column) in zip(panels, pairs, strict=False):
        _densities(panel, slide(inputs, nuisance, column, edges_of(inputs, column, bins_of(inputs))))
        panel.set_title(inputs.names[nuisance], loc="left", fontsize=10)
        panel.set_xlabel(inputs.axis_name(column), loc="center")
        panel.set_ylabel("events, scaled", loc="center")
    for panel in panels[len(pairs) :]:
        panel.set_axis_off()
    _legend(figure, inputs)
    words = ", ".join(f"{inputs.axis_name(column)} by {inputs.names[nuisance]}" for nuisance, column in pairs)
    alt = f"Densities of latent axes at {_values(inputs)} standard deviations: {words}."
    caption = (
        "Every latent axis with the nuisance parameter that changes its shape most. Filled: nominal events. Lines: "
        "the same events with the parameter moved, selection included. Dots: what the density ratio says, nominal "
        "events weighted by r. Dots on the lines: the embedding moves as predicted."
    )
    return Plot("densities", figure, alt, caption + _left_out_axes(inputs, axes), wide=columns > 1)


def response_figure(inputs: SystematicsInputs) -> Plot | None:
    """Ratios to the nominal density of every latent axis, one nuisance parameter per row; None with too few events.

    Call inside `hep_style`.
    """
    names, axes = shown_names(inputs), shown_axes(inputs)
    if not any(_good(slide(inputs, 0, column)).any() for column in axes):
        return None
    figure = new_figure(1.3 * len(names) + 0.8, WIDTH * (0.35 + 0.4 * len(axes)))
    panels = figure.subplots(len(names), len(axes), sharex="col", squeeze=False)
    for row, nuisance in zip(panels, names, strict=True):
        found = [slide(inputs, nuisance, column) for column in axes]
        half = _half_range(found)
        for i, (panel, each) in enumerate(zip(row, found, strict=True)):
            _ratios(panel, each)
            panel.set_ylim(1 - half, 1 + half)
            panel.tick_params(labelleft=i == 0)
        row[0].set_ylabel(inputs.names[nuisance].replace("-", "\n", 1), fontsize=9.5, loc="center")
    for panel, column in zip(panels[-1], axes, strict=True):
        panel.set_xlabel(f"{inputs.axis_name(column)}, percentile", loc="center")
    figure.align_ylabels(panels[:, 0])
    _legend(figure, inputs)
    alt = (
        f"Ratios of latent densities at {_values(inputs)} standard deviations to the nominal ones: rows "
        f"{', '.join(inputs.names[k] for k in names)}, columns {', '.join(inputs.axis_name(c) for c in axes)}."
    )
    caption = (
        "Ratios to the nominal densities, one nuisance parameter per row, each with its own range. All bins hold "
        "equally many nominal events. Lines: the same events with the parameter moved. Dots: the density ratio's "
        "prediction; bars: standard errors of prediction minus line, which share their events."
    )
    return Plot("responses", figure, alt, caption + _left_out(inputs, names, axes), wide=len(axes) > 1)


def _densities(axis: Axes, found: Slide) -> None:
    top = found.nominal.max()
    axis.stairs(found.nominal / top, found.edges, fill=True, color=FILL)
    axis.stairs(found.nominal / top, found.edges, color=NOMINAL, lw=0.8)
    for i, colour in _outermost(found):
        axis.stairs(found.actual[i] / top, found.edges, color=colour, lw=1.3)
        axis.plot(_centres(found), found.predicted[i] / top, "o", ms=3.8, color=colour, mec="white", mew=0.4, zorder=3)
    axis.set_xlim(found.edges[0], found.edges[-1])
    axis.set_ylim(0, 1.12 * max(1.0, float(found.actual.max() / top), float(found.predicted.max() / top)))


def _ratios(axis: Axes, found: Slide) -> None:
    good = _good(found)
    safe = np.where(good, found.nominal, 1.0)
    places = 100 * np.concatenate([[0.0], np.cumsum(found.nominal)]) / found.nominal.sum()
    axis.axhline(1.0, color=NOMINAL, lw=0.8)
    for i, colour in _outermost(found):
        ratio, said, error = (
            np.where(good, values / safe, np.nan) for values in (found.actual[i], found.predicted[i], found.error[i])
        )
        axis.stairs(ratio, places, color=colour, baseline=None, lw=1.2)
        axis.errorbar(
            (places[1:] + places[:-1]) / 2, said, error, fmt="o", ms=2.6, lw=0.8, color=colour, mec="white", mew=0.3
        )
    axis.set_xlim(0, 100)
    axis.minorticks_off()
    axis.set_xticks([25, 50, 75])
    axis.locator_params(axis="y", nbins=4)


def _half_range(found: Sequence[Slide]) -> float:
    largest = 0.0
    for each in found:
        good = _good(each)
        for values in (each.actual, each.predicted):
            largest = max(largest, float(np.abs(values[:, good] / each.nominal[good] - 1).max(initial=0.0)))
    return min(max(ROOM * largest, NARROWEST), WIDEST)


def _good(found: Slide) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = (found.number >= LEAST) & (found.nominal > 0)
    return good


def _outermost(found: Slide) -> list[tuple[int, str]]:
    return [(0, COLOURS[0]), (len(found.actual) - 1, COLOURS[1])]


def _centres(found: Slide) -> NDArray[np.float64]:
    centres: NDArray[np.float64] = (found.edges[1:] + found.edges[:-1]) / 2
    return centres


def _legend(figure: Figure, inputs: SystematicsInputs) -> None:
    ends = (inputs.values[0], inputs.values[-1])
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=c, label=f"$\\nu$ = {v:+g}") for v, c in zip(ends, COLOURS, strict=True)
    ]
    handles.insert(1, Patch(facecolor=FILL, edgecolor=NOMINAL, lw=0.8, label="nominal"))
    handles.append(Line2D([], [], color="#555555", marker="o", ms=4, ls="", label="predicted"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4)


def _values(inputs: SystematicsInputs) -> str:
    return f"{inputs.values[0]:+g} and {inputs.values[-1]:+g}"


def _left_out_axes(inputs: SystematicsInputs, axes: Sequence[int]) -> str:
    if len(axes) == inputs.dimensions:
        return ""
    return f" The {len(axes)} of {inputs.dimensions} axes that are moved most are shown."


def _left_out(inputs: SystematicsInputs, names: Sequence[int], axes: Sequence[int]) -> str:
    text = _left_out_axes(inputs, axes)
    if len(names) < len(inputs.names):
        rest = [name for i, name in enumerate(inputs.names) if i not in names]
        text += f" Left out because they move the densities less: {', '.join(rest)}."
    return text
