"""What the figures of a study share: colours by family, and one number with its interval as a marker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from unseen.report.style import PROCESS_COLOURS

__all__ = ["Mark", "StudyTable", "draw_number", "families", "marks"]

MARKERS = "osv^D<>Pp*hX"
FIXED = "#5a5f66"  # rows that nobody trained
Values = Mapping[str, Any]


@dataclass(frozen=True)
class StudyTable:
    """A title, the rows of a study's table, and the expected number of background events."""

    title: str
    rows: tuple[Values, ...]
    n_data: float


@dataclass(frozen=True)
class Mark:
    """How a family is drawn."""

    colour: str
    marker: str


def families(rows: Sequence[Values], kind: str = "model") -> dict[str, list[Values]]:
    """The rows of a kind by their family, in the order of the table."""
    found: dict[str, list[Values]] = {}
    for row in rows:
        if row["kind"] == kind:
            found.setdefault(row["family"], []).append(row)
    return found


def marks(rows: Sequence[Values]) -> dict[str, Mark]:
    """A colour and a marker for every family; representations that nobody trained are grey."""
    found = {}
    for i, name in enumerate(families(rows)):
        found[name] = Mark(PROCESS_COLOURS[i % len(PROCESS_COLOURS)], MARKERS[i % len(MARKERS)])
    for i, name in enumerate(families(rows, "representation")):
        found[name] = Mark(FIXED, MARKERS[-1 - i % len(MARKERS)])
    return found


def draw_number(axis: Axes, x: float, row: Values, key: str, mark: Mark, label: str | None, dx: float = 0.0) -> bool:
    """Draw the number `key` of a row at x with its interval; a hollow triangle where it is only known to be larger.

    `dx` is the half width of an interval in x. Returns whether there was something to draw.
    """
    n, low, high, above = (row.get(f"{key}{end}") for end in ("", "_low", "_high", "_above"))
    if n is None:
        if above is not None:
            axis.plot([x], [above], "^", color=mark.colour, mfc="white", ms=7, label=label)
        return above is not None
    known = low is not None and high is not None
    axis.errorbar(
        [x],
        [n],
        xerr=[dx] if dx else None,
        yerr=[[n - low], [high - n]] if known else None,
        color=mark.colour,
        marker=mark.marker,
        ms=6,
        lw=1.1,
        ls="",
        label=label,
    )
    return True
