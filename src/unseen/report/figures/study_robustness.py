"""Whether a search stays true under nuisance parameters: rates of p < 0.05 of every way to treat them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from unseen.report.figures.study import StudyTable
from unseen.report.plot import Plot
from unseen.report.style import PROCESS_COLOURS, WIDTH, new_figure

__all__ = ["study_robustness"]

LEVEL, TOLERANCE = 0.05, 0.02  # the nominal rate, and how far from it is fine
MARKERS = "osv^D"
PANEL = 2.1  # inches
Cell = Mapping[str, Any]


def study_robustness(table: StudyTable) -> Plot | None:
    """Return the figure, a panel for each entry; None for a study without the section `systematics`."""
    rows = [row for row in table.rows if row.get("nu.robustness.cells")]
    if not rows:
        return None
    found = {row["name"]: (json.loads(row["nu.names"]), json.loads(row["nu.robustness.cells"])) for row in rows}
    figure = new_figure(PANEL * len(found) + 1.2, 1.75 * WIDTH)
    axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (entry, (names, cells)) in zip(axes, found.items(), strict=True):
        _panel(axis, entry, cells, names)
    labels = [_label(cell["nu"], names) for cell in _first(cells)]
    axes[-1].set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
    handles, words = axes[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=3)
    worst = {
        treatment: max(cell["rate"] for _, part in found.values() for cell in part if _plain(cell, treatment))
        for treatment in dict.fromkeys(cell["treatment"] for cell in cells)
    }
    said = ", ".join(f"{name} {rate:.2f}" for name, rate in worst.items())
    return Plot(
        "robustness",
        figure,
        f"Rates of p < 0.05 without a signal for {len(found)} representations. Highest: {said}.",
        f"The rate of p < {LEVEL:g} among data sets drawn from events that were really distorted, at the values of the "
        "nuisance parameters below (filled: without a signal, hollow: with one, highest of all signals); bars: 68 %. "
        f"Without a signal it should be in the grey band, {LEVEL:g} within {TOLERANCE:g}.",
        wide=True,
    )


def _panel(axis: Axes, entry: str, cells: Sequence[Cell], names: Sequence[str]) -> None:
    axis.axhspan(LEVEL - TOLERANCE, LEVEL + TOLERANCE, color="#d9d9d9", lw=0)
    at = {tuple(cell["nu"]): i for i, cell in enumerate(_first(cells))}
    treatments = list(dict.fromkeys(cell["treatment"] for cell in cells))
    for i, treatment in enumerate(treatments):
        style: dict[str, Any] = {
            "color": PROCESS_COLOURS[i % len(PROCESS_COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "ls": "",
        }
        shift = 0.15 * (i - 0.5 * (len(treatments) - 1))
        mine = [cell for cell in cells if _plain(cell, treatment)]
        rate = [cell["rate"] for cell in mine]
        axis.errorbar(
            [at[tuple(cell["nu"])] + shift for cell in mine],
            rate,
            yerr=[
                [r - cell["low"] for r, cell in zip(rate, mine, strict=True)],
                [cell["high"] - r for r, cell in zip(rate, mine, strict=True)],
            ],
            ms=5,
            lw=1.0,
            label=treatment,
            **style,
        )
        power: dict[tuple[float, ...], float] = {}
        for cell in cells:
            if cell["treatment"] == treatment and cell["signal"]:
                nu = tuple(cell["nu"])
                power[nu] = max(power.get(nu, 0.0), cell["rate"])
        axis.plot([at[nu] + shift for nu in power], list(power.values()), mfc="white", ms=5, **style)
    axis.set_ylim(-0.03, 1.03)
    axis.set_ylabel("rate of p < 0.05", fontsize=9)
    axis.set_title(entry, fontsize=10, loc="left")
    axis.tick_params(axis="x", which="minor", bottom=False, top=False)


def _plain(cell: Cell, treatment: str) -> bool:
    return bool(cell["treatment"] == treatment and not cell["signal"])


def _first(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the first treatment without a signal: one for each point."""
    return [cell for cell in cells if _plain(cell, cells[0]["treatment"])]


def _label(nu: Sequence[float], names: Sequence[str]) -> str:
    """The parameter that is not 0 with its value; several as a list of values."""
    off = [(name, value) for name, value in zip(names, nu, strict=True) if value]
    if not off:
        return "0"
    if len(off) == 1:
        return f"{off[0][0]} {off[0][1]:+g}"
    return "(" + ", ".join(f"{value:+.1f}" for value in nu) + ")"
