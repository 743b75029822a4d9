"""The null distribution of the statistic at every width, with the observed value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mplhep
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from unseen.report.inputs import Floats, ReportInputs
from unseen.report.plot import Plot
from unseen.report.style import LEARNED, PROCESS_COLOURS, WIDTH, new_figure
from unseen.report.wording import count, number, p_text

__all__ = ["Panel", "draw_null", "main_panel", "null_distribution", "panels"]

PANEL_HEIGHT = 1.75
FAR = 4.0  # an observed value further out than this many null ranges is drawn as an arrow at the edge


@dataclass(frozen=True, eq=False)
class Panel:
    """One null distribution: finite toys (n,), the observed value (NaN if unknown), and its labels."""

    toys: NDArray[np.float64]
    observed: float
    axis: str
    title: str


def panels(inputs: ReportInputs) -> list[Panel]:
    """One panel per width, after one for the combined statistic where it is given and there is more than one width."""
    result = [_combined(inputs)] if _is_combined(inputs) else []
    observed, widths = list(inputs.result.get("t") or ()), list(inputs.result.get("widths") or ())
    p_values = list(inputs.result.get("p_per_width") or ())
    for i in range(inputs.null_t.shape[1]):
        title = f"width {number(widths[i])}" if i < len(widths) else f"width no. {i + 1}"
        if i < len(p_values) and p_values[i] is not None:
            title += f", p = {p_text(p_values[i])}"
        if i == inputs.best_width and inputs.null_t.shape[1] > 1:
            title += ", used for f"
        t = float(observed[i]) if i < len(observed) and observed[i] is not None else math.nan
        result.append(Panel(_finite(inputs.null_t[:, i]), t, "t", title))
    return result


def main_panel(inputs: ReportInputs) -> Panel:
    """The panel that decides: the combined statistic, or the best width."""
    every = panels(inputs)
    return every[0] if _is_combined(inputs) else every[min(inputs.best_width, len(every) - 1)]


def draw_null(axis: Axes, panel: Panel) -> None:
    """Histogram of the toys and a line at the observed value."""
    toys = panel.toys
    if len(toys):
        edges = _edges(toys)
        mplhep.histplot(
            np.histogram(toys, edges)[0],
            edges,
            ax=axis,
            histtype="fill",
            color=PROCESS_COLOURS[0],
            alpha=0.75,
            flow="none",
        )
        axis.set_ylim(0, 1.35 * axis.dataLim.y1)  # room for the number of the data
        _mark(axis, panel.observed, float(edges[0]), float(edges[-1]))
    else:
        axis.text(0.5, 0.5, "no toys", transform=axis.transAxes, ha="center")
    axis.set_xlabel(panel.axis)
    axis.set_ylabel("toys")
    axis.minorticks_off()
    axis.set_title(panel.title, loc="left", fontsize=9.5)


def null_distribution(inputs: ReportInputs) -> Plot:
    """All panels in one or two columns."""
    every = panels(inputs)
    columns = 1 if len(every) <= 2 else 2
    rows = math.ceil(len(every) / columns)
    figure = new_figure(PANEL_HEIGHT * rows + 0.3, WIDTH if columns == 1 else 1.2 * WIDTH)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(axes, every, strict=False):
        draw_null(axis, panel)
    for axis in axes[len(every) :]:
        axis.set_axis_off()
    caption = (
        "Blue: the statistic in toys, where data and simulation agree by construction. Red line: the statistic of the "
        "data. The further right of the toys it lies, the stronger the disagreement."
    )
    if len(every) > 1:
        caption += " The p of a single width only ranks the widths; the verdict uses their combination."
    return Plot("null", figure, " ".join(_in_words(panel) for panel in every), caption, wide=columns == 2)


def _in_words(panel: Panel) -> str:
    if not len(panel.toys):
        return f"{panel.title}: no toys."
    low, middle, high = np.quantile(panel.toys, [0.16, 0.5, 0.84])
    text = f"{panel.title}: null of {count(len(panel.toys))} toys, median {number(middle)}"
    text += f", central 68 % from {number(low)} to {number(high)}"
    if math.isnan(panel.observed):
        return f"{text}; no observed value."
    above = int((panel.toys >= panel.observed).sum())
    return f"{text}; observed {number(panel.observed)}, reached by {count(above)} toys."


def _mark(axis: Axes, observed: float, low: float, high: float) -> None:
    if math.isnan(observed):
        return
    span = high - low
    right = observed > (low + high) / 2
    if not low - FAR * span <= observed <= high + FAR * span:
        axis.set_xlim((low, high + 0.6 * span) if right else (low - 0.6 * span, high))
        tip, tail, text = (1.0, 0.84, 0.82) if right else (0.0, 0.16, 0.18)
        axis.annotate(
            "",
            xy=(tip, 0.5),
            xytext=(tail, 0.5),
            xycoords="axes fraction",
            arrowprops={"arrowstyle": "-|>", "color": LEARNED, "lw": 2},
        )
        side = "right" if right else "left"
        words = f"data: {number(observed)}"
        axis.text(text, 0.5, words, transform=axis.transAxes, ha=side, va="center", color=LEARNED)
        return
    axis.axvline(observed, color=LEARNED, lw=2)
    axis.annotate(
        f"data: {number(observed)}",
        (observed, 0.88),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if right else 5, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        color=LEARNED,
    )


def _is_combined(inputs: ReportInputs) -> bool:
    """With one width there is nothing to combine: the statistic is t."""
    return inputs.null_combined is not None and inputs.null_t.shape[1] > 1


def _combined(inputs: ReportInputs) -> Panel:
    assert inputs.null_combined is not None
    toys = _finite(inputs.null_combined)
    observed = math.nan if inputs.combined is None else float(inputs.combined)
    name = str(inputs.result.get("combination", "combined")).replace("_", " ")
    axis = r"$-\ln$ smallest p" if name == "smallest p" else f"combined statistic ({name})"
    return Panel(toys, observed, axis, "all widths combined")


def _finite(values: Floats) -> NDArray[np.float64]:
    return values[np.isfinite(values)].astype(np.float64)


def _edges(toys: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(toys.min()), float(toys.max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(math.sqrt(len(toys)) * 1.2, 6, 45))
    return np.linspace(low, high, bins + 1)
