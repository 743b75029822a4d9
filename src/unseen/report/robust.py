"""What a study measured of robustness, as the table and the figures read it from the columns of a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unseen.report.figures.study import StudyTable
from unseen.report.style import PROCESS_COLOURS
from unseen.study.covariance.robustness import LEVEL

__all__ = ["LEVEL", "TOLERANCE", "Cell", "Look", "Robust", "looks", "power_means_nothing", "robust_entries"]

TOLERANCE = 0.02  # how far from `LEVEL` the rate without a signal may be
COLOURS = tuple(PROCESS_COLOURS[i] for i in (0, 1, 3, 4, 5))  # no grey, which the band has
MARKERS = "osv^D"
Cell = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """How a treatment is drawn."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Robust:
    """The cells of one entry, the nuisance parameters' names, and whether it was trained to be invariant to them."""

    entry: str
    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    invariant: bool

    @property
    def treatments(self) -> tuple[str, ...]:
        """In the order of the settings."""
        return tuple(dict.fromkeys(cell["treatment"] for cell in self.cells))

    @property
    def signals(self) -> tuple[str, ...]:
        """Those that were injected."""
        return tuple(dict.fromkeys(cell["signal"] for cell in self.cells if cell["signal"]))

    def of(self, treatment: str, signal: str = "") -> list[Cell]:
        """The cells of a treatment, without a signal unless one is given: one for each point."""
        return [cell for cell in self.cells if (cell["treatment"], cell["signal"]) == (treatment, signal)]


def robust_entries(table: StudyTable) -> list[Robust]:
    """The entries whose robustness was measured."""
    found = []
    for row in table.rows:
        cells = json.loads(row.get("nu.robustness.cells") or "[]")
        if cells:
            names, invariant = tuple(json.loads(row["nu.names"])), row.get("fine_tune.method") == "invariant"
            found.append(Robust(row["name"], names, tuple(cells), invariant))
    return found


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A colour and a marker for each of `names`."""
    return {name: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}


def power_means_nothing(without: Cell) -> bool:
    """Whether data without a signal are called unusual too often, so that signals found there say little."""
    return bool(without["low"] > LEVEL + TOLERANCE)
