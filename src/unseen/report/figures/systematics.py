"""What every nuisance parameter does to a few observables: ratios to the nominal distribution at nu = -2 and 2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError
from unseen.events import Events, select
from unseen.events.observables import OBSERVABLES, Observable
from unseen.report.plot import Plot
from unseen.report.style import LEARNED, PROCESS_COLOURS, WIDTH, hep_style, new_figure
from unseen.systematics import NuisanceSet

__all__ = ["SHOWN", "systematics_figure"]

SHOWN = ("leading_lepton_pt", "met", "ht", "jet_multiplicity")
VALUES = (-2.0, 2.0)
COLOURS = (PROCESS_COLOURS[0], LEARNED)
LEAST = 100  # nominal events in a bin that is drawn
WIDEST, NARROWEST = 0.75, 0.08  # half range of the ratios

Array = NDArray[np.float64]


def systematics_figure(
    events: Events, nuisances: NuisanceSet | None = None, observables: Sequence[str] = SHOWN, seed: int = 0
) -> Plot:
    """The distributions of selected events (top row), and their ratios at nu = -2 and 2, one nuisance per row.

    `events` are nominal and stored, not selected, so that they can migrate; all rows share their events, so the ratios
    fluctuate less than the distributions. Errors: NotEnoughEventsError (none is selected), those of `distort`.
    """
    chosen = nuisances or NuisanceSet.builtin(events.schema)
    shown = [OBSERVABLES[name] for name in observables]
    nominal = select(events)
    if not len(nominal):
        raise NotEnoughEventsError(f"none of {len(events)} events passes the selection of '{events.schema.name}'")
    rows = len(chosen) + 1
    with hep_style("systematics"):
        figure = new_figure(1.25 * rows + 0.6, 2.0 * WIDTH)
        axes = figure.subplots(rows, len(shown), sharex="col", squeeze=False)
        for axis, observable in zip(axes[0], shown, strict=True):
            axis.stairs(_counts(nominal, observable)[0], observable.edges, color="#333333")
            axis.set_ylim(bottom=0)
            axis.set_yticks([])
        axes[0, 0].set_ylabel("events", fontsize=9.5)
        for row, name in zip(axes[1:], chosen.names, strict=True):
            nu = {value: value * (np.array(chosen.names) == name) for value in VALUES}
            moved = [select(chosen.distort(events, nu[value], seed=seed)) for value in VALUES]
            _frame(list(row), name, max(_ratios(axis, nominal, moved, o) for axis, o in zip(row, shown, strict=True)))
        for axis, observable in zip(axes[-1], shown, strict=True):
            axis.set_xlabel(observable.label)
            axis.set_xlim(observable.edges[0], observable.edges[-1])
        figure.align_ylabels(axes[:, 0])
        handles = [Line2D([], [], color=c, label=f"$\\nu$ = {v:+g}") for v, c in zip(VALUES, COLOURS, strict=True)]
        figure.legend(
            handles=[*handles, Line2D([], [], color="#333333", label="nominal")], loc="outside upper center", ncols=3
        )
    names = ", ".join(chosen.names)
    return Plot(
        "systematics",
        figure,
        f"Ratios to the nominal distributions of {len(shown)} observables at nu = -2 and 2 of {names}.",
        "Top: nominal distributions after the selection. Below, one nuisance parameter per row: ratios to them with "
        "the parameter at -2 and 2 standard deviations, weights and migration across the selection included.",
        wide=True,
    )


def _counts(events: Events, observable: Observable) -> tuple[Array, NDArray[np.int64]]:
    """Weighted and plain numbers of events per bin; what is not defined is in none."""
    values = observable.values(events)
    good = np.isfinite(values)
    weighted = np.histogram(values[good], observable.edges, weights=events.weight[good])[0]
    return weighted.astype(np.float64), np.histogram(values[good], observable.edges)[0].astype(np.int64)


def _ratios(axis: Axes, nominal: Events, moved: Sequence[Events], observable: Observable) -> float:
    """Draw the ratios of one panel; how far they are from 1 at most."""
    before, number = _counts(nominal, observable)
    good = (number >= LEAST) & (before > 0)
    largest = 0.0
    for events, colour in zip(moved, COLOURS, strict=True):
        ratio = np.where(good, _counts(events, observable)[0] / np.where(good, before, 1.0), np.nan)
        axis.stairs(ratio, observable.edges, color=colour, baseline=None)
        largest = max(largest, float(np.abs(ratio[good] - 1).max(initial=0.0)))
    return largest


def _frame(row: list[Axes], name: str, largest: float) -> None:
    """One range of ratios for the row, from what is drawn in it."""
    half = min(max(1.15 * largest, NARROWEST), WIDEST)
    for i, axis in enumerate(row):
        axis.axhline(1.0, color="#333333", lw=0.8)
        axis.set_ylim(1 - half, 1 + half)
        if i:
            axis.tick_params(labelleft=False)
    row[0].set_ylabel(name.replace("-", "\n", 1), fontsize=9.5)
