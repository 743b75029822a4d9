"""Power studies: median Z and power against the signal's fraction, a row for each signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from unseen.power.crossing import median_interval, power_interval
from unseen.power.result import Curve, PowerResult
from unseen.report.style import PROCESS_COLOURS, WIDTH, new_figure

__all__ = ["Published", "power_figure"]

Scaling = Callable[[ArrayLike], ArrayLike]
Published = Mapping[str, Sequence[tuple[float, float]]]
ROW_HEIGHT = 3.0
LEGEND_HEIGHT = 0.25  # of a line
COLUMNS = 5
MARKERS = "osv^D<>Pp*hX"


def power_figure(result: PowerResult, published: Published | None = None) -> Figure:
    """Return median Z (left) and power (right) for each signal and test, with intervals of 68 %.

    `published`: points (number of signal events, Z) by signal, drawn beside ours. A hollow marker is the largest Z that
    the null resolves: half of the pseudo-data or more are beyond every null toy.
    """
    signals = list(dict.fromkeys(curve.signal for curve in result.curves))
    styles = _styles(result.curves)
    lines = -(-(len(styles) + bool(published)) // COLUMNS) + _any_beyond(result.curves)
    figure = new_figure(ROW_HEIGHT * len(signals) + 0.4 + LEGEND_HEIGHT * lines, width=1.75 * WIDTH)
    axes = figure.subplots(len(signals), 2, squeeze=False)
    expected = result.about.get("options", {}).get("n_data")
    for row, signal in zip(axes, signals, strict=True):
        curves = [curve for curve in result.curves if curve.signal == signal]
        level = max(curve.level for curve in curves)
        for curve in curves:
            _draw_z(row[0], curve, styles[curve.test])
            _draw_power(row[1], curve, level, styles[curve.test])
        points = (published or {}).get(signal, ())
        if points:
            row[0].plot(
                *zip(*points, strict=True), marker="*", ms=11, color="black", ls="", label="published", zorder=5
            )
        _label(row[0], row[1], curves, level, expected)
    _legend(figure, [row[0] for row in axes], result.curves)
    return figure


class Style(NamedTuple):
    """How one test is drawn in all panels."""

    colour: str
    marker: str
    line: str


def _styles(curves: Sequence[Curve]) -> dict[str, Style]:
    """The style of every test; a colour that comes again is dashed."""
    n = len(PROCESS_COLOURS)
    tests = enumerate(dict.fromkeys(curve.test for curve in curves))
    return {name: Style(PROCESS_COLOURS[i % n], MARKERS[i % len(MARKERS)], "-" if i < n else "--") for i, name in tests}


def _any_beyond(curves: Sequence[Curve]) -> bool:
    """Whether half of the pseudo-data of some sample are beyond every null toy."""
    return any(np.median(s.z) >= s.largest_z for curve in curves for s in curve.found)


def _draw_z(axis: Axes, curve: Curve, style: Style) -> None:
    colour, marker, line = style
    z = np.array(curve.median_z)
    low, high = np.array([median_interval(s.z) for s in curve.found]).T
    beyond = np.array([np.median(s.z) >= s.largest_z for s in curve.found])
    axis.fill_between(curve.injections, low, high, color=colour, alpha=0.25, lw=0)
    axis.plot(curve.injections, z, color=colour, ls=line, lw=1.2)
    axis.plot(np.array(curve.injections)[~beyond], z[~beyond], marker, color=colour, ms=5, label=curve.test)
    axis.plot(np.array(curve.injections)[beyond], z[beyond], marker, color=colour, ms=5, mfc="white")


def _draw_power(axis: Axes, curve: Curve, level: float, style: Style) -> None:
    if not curve.found[0].resolves(level):
        return
    share = curve.power(level)
    ends = np.array([power_interval(p, len(s.p)) for p, s in zip(share, curve.found, strict=True)]).T
    axis.errorbar(
        curve.injections,
        share,
        yerr=np.abs(ends - np.array(share)),
        color=style.colour,
        marker=style.marker,
        ls=style.line,
        ms=5,
        lw=1.2,
        label=curve.test,
    )


def _percent_of(expected: float) -> tuple[Scaling, Scaling]:
    """Return the functions between numbers of events and per cent of `expected`."""
    return (
        lambda n: 100.0 * np.asarray(n, np.float64) / expected,
        lambda f: np.asarray(f, np.float64) * expected / 100.0,
    )


def _label(left: Axes, right: Axes, curves: Sequence[Curve], level: float, expected: float | None) -> None:
    for axis in (left, right):
        axis.set_xlabel(f"signal events ({curves[0].signal})")
        if expected:
            top = axis.secondary_xaxis("top", functions=_percent_of(expected))
            top.set_xlabel("signal / expected background (%)", fontsize=9.5)
            axis.tick_params(which="both", top=False)
    for z in (2, 3, 5):
        if z < left.get_ylim()[1]:
            left.axhline(z, color="0.8", lw=0.8, zorder=0)
    left.set_ylabel("median Z")
    right.set_ylabel(rf"share with Z $\geq$ {level:g}")
    right.set_ylim(-0.03, 1.05)
    right.axhline(0.5, color="0.8", lw=0.8, zorder=0)


def _legend(figure: Figure, axes: Sequence[Axes], curves: Sequence[Curve]) -> None:
    """One legend for all panels, below them: with many tests there is no free place inside."""
    handles = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=min(COLUMNS, len(handles)),
        title="hollow: beyond all null toys" if _any_beyond(curves) else None,
        title_fontsize=8.5,
    )
