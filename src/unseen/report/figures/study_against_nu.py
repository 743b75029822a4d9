"""Type-I error and power of one entry against true nu: a column for each parameter, a row for each signal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from unseen.report.figures.study import StudyTable
from unseen.report.figures.study_robustness import band, rate_limits
from unseen.report.plot import Plot
from unseen.report.robust import LEVEL, TOLERANCE, Cell, Look, Robust, looks, power_means_nothing, robust_entries
from unseen.report.style import new_figure

__all__ = ["study_against_nu"]

COLUMN, ROW = 1.55, 1.45  # inches of a panel
NARROWEST = 5.4
DODGE = 0.035  # of the range of nu: error bars stand beside each other
BLIND = "ignored"  # how an invariant embedding is meant to be searched with


@dataclass(frozen=True)
class _Series:
    """One curve of every panel: an entry with one treatment."""

    label: str
    robust: Robust
    treatment: str
    look: Look
    line: str


def study_against_nu(table: StudyTable) -> list[Plot]:
    """Return a figure for each entry whose robustness was measured.

    An embedding that was trained to be invariant, searched with nu ignored, stands beside the treatments of the others.
    """
    found = robust_entries(table)
    return [_figure(i, entry, found) for i, entry in enumerate(found)]


def _figure(i: int, robust: Robust, found: Sequence[Robust]) -> Plot:
    series = _series(robust, found)
    columns = _columns(robust)
    rows = ("", *robust.signals)
    figure = new_figure(ROW * len(rows) + 1.2, max(NARROWEST, COLUMN * len(columns) + 0.8))
    axes = figure.subplots(len(rows), len(columns), sharex="col", sharey="row", squeeze=False)
    for line, signal in zip(axes, rows, strict=True):
        for axis, column in zip(line, columns, strict=True):
            _panel(axis, series, column, signal)
        line[0].set_ylabel(f"power\n{signal}" if signal else "type-I error", fontsize=9, loc="center")
    axes[0, 0].set_ylim(*rate_limits([each.robust.of(each.treatment) for each in series]))
    for axis, column in zip(axes[-1], columns, strict=True):
        axis.set_xlabel(column if column else "all at once: |ν|", fontsize=9, loc="center")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    plain = re.sub(r"[^a-z0-9]+", "-", robust.entry.lower()).strip("-")[:40]
    lowest = {
        signal: min((c["rate"] for name in robust.treatments for c in robust.of(name, signal)), default=0.0)
        for signal in robust.signals
    }
    said = ", ".join(f"{name} {rate:.2f}" for name, rate in lowest.items())
    return Plot(
        f"robustness-{i + 1}-{plain}",
        figure,
        f"Rates of p < {LEVEL:g} of {robust.entry} against true nu, without a signal and with each. "
        + (f"Lowest power of any treatment: {said}." if said else "No signal was injected."),
        f"{robust.entry}: rates of p < {LEVEL:g} against true ν in prior widths, for each parameter alone and for "
        "combinations of all, drawn at the length of ν; bars: 68 %. Above: without a signal (type-I error; grey: "
        f"{LEVEL:g} within {TOLERANCE:g}). Below: with each signal (power); hollow where the rate without a signal is "
        "too high there, so that power means little.",
        wide=True,
    )


def _series(robust: Robust, found: Sequence[Robust]) -> list[_Series]:
    """The treatments of an entry, and every other entry that was trained to be invariant, with nu ignored."""
    others = [each for each in found if each.invariant and each is not robust and BLIND in each.treatments]
    labels = [*robust.treatments, *(f"{each.entry} ({BLIND})" for each in others)]
    look = list(looks(labels).values())
    own = [_Series(name, robust, name, mark, "-") for name, mark in zip(robust.treatments, look, strict=False)]
    n = len(own)
    more = zip(labels[n:], others, look[n:], strict=True)
    return own + [_Series(label, each, BLIND, mark, "--") for label, each, mark in more]


def _columns(robust: Robust) -> list[str]:
    """The parameters that are moved alone, and an empty name if all are moved at once."""
    moved = [np.flatnonzero(cell["nu"]) for cell in robust.cells]
    alone = [name for i, name in enumerate(robust.names) if any(list(at) == [i] for at in moved)]
    return alone + ([""] if any(len(at) > 1 for at in moved) or not alone else [])


def _panel(axis: Axes, series: Sequence[_Series], column: str, signal: str) -> None:
    if not signal:
        band(axis)
    for i, each in enumerate(series):
        cells = [
            (x, c) for c in each.robust.of(each.treatment, signal) if (x := _place(c, each.robust, column)) is not None
        ]
        if not cells:
            continue
        false = {tuple(c["nu"]) for c in each.robust.of(each.treatment) if signal and power_means_nothing(c)}
        _curve(axis, sorted(cells, key=lambda pair: pair[0]), each, i - 0.5 * (len(series) - 1), false, bool(column))
    axis.set_ylim(-0.04, 1.04)
    axis.tick_params(which="minor", bottom=False, top=False, left=False, right=False)
    axis.tick_params(top=False, right=False)


def _place(cell: Cell, robust: Robust, column: str) -> float | None:
    """Where a point stands in a column: nu of the parameter, or the length of nu; None if it is not in there."""
    off = np.flatnonzero(cell["nu"])
    if not column:
        return float(np.linalg.norm(cell["nu"])) if len(off) != 1 else None
    i = robust.names.index(column)
    return float(cell["nu"][i]) if set(off.tolist()) <= {i} else None


def _curve(
    axis: Axes,
    cells: Sequence[tuple[float, Cell]],
    each: _Series,
    side: float,
    false: set[tuple[float, ...]],
    joined: bool,
) -> None:
    x = np.array([at for at, _ in cells])
    x = x + side * DODGE * max(float(np.ptp(x)), 1.0)
    rate, low, high = (np.array([cell[key] for _, cell in cells]) for key in ("rate", "low", "high"))
    axis.errorbar(
        x,
        rate,
        yerr=[rate - low, high - rate],
        color=each.look.colour,
        ls=each.line if joined else "",
        lw=1.0,
        marker=each.look.marker,
        ms=4,
        label=each.label,
    )
    hollow = [tuple(cell["nu"]) in false for _, cell in cells]
    axis.plot(x[hollow], rate[hollow], each.look.marker, color=each.look.colour, mfc="white", ms=4, zorder=3)
