"""The table of type-I error and power under nuisance parameters: a line for each entry and treatment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unseen.report.figures.study import StudyTable
from unseen.report.robust import LEVEL, Cell, robust_entries
from unseen.report.tables import Table
from unseen.report.wording import number

__all__ = ["power_table"]

UNKNOWN = "–"
Values = Mapping[str, Any]


def power_table(table: StudyTable) -> Table | None:
    """Return the table, None for a study that measured no robustness."""
    found = robust_entries(table)
    if not found:
        return None
    signals = list(dict.fromkeys(signal for entry in found for signal in entry.signals))
    head = ["entry", "treatment", "type-I error: lowest", "mean", "highest"]
    for signal in signals:
        head += [f"power, {signal}: ν = 0", "lowest"]
    lines = []
    for entry in found:
        for treatment in entry.treatments:
            rates = [cell["rate"] for cell in entry.of(treatment)]
            cells = [entry.entry, treatment]
            cells += [f"{rate:.3f}" for rate in (min(rates), sum(rates) / len(rates), max(rates))]
            for signal in signals:
                cells += _power(entry.of(treatment, signal))
            lines.append(tuple(cells))
    return Table(_caption([cell for entry in found for cell in entry.cells]), tuple(head), tuple(lines), (0, 1))


def _power(cells: Sequence[Cell]) -> list[str]:
    zero = [cell for cell in cells if not any(cell["nu"])]
    lowest = sorted(cells, key=lambda cell: (cell["rate"], cell["median_z"]))
    return [_cell(found[0]) if found else UNKNOWN for found in (zero, lowest)]


def _cell(cell: Cell) -> str:
    """The rate, and in brackets the median Z: a bound where the null has no toys beyond."""
    beyond = ">" if cell["median_z"] >= cell["largest_z"] else ""
    return f"{cell['rate']:.2f} ({beyond}{cell['median_z']:.1f})"


def _caption(cells: Sequence[Cell]) -> str:
    without = [cell for cell in cells if not cell["signal"]]
    points = len({tuple(cell["nu"]) for cell in without})
    words = (
        f"Rates of p < {LEVEL:g} for data of events that were really distorted, at {points} points ν, "
        f"{_numbers('n_toys', without)} data sets each; nulls of {_numbers('n_null', without)} toys. Type-I error: "
        f"without a signal, lowest, mean and highest of all points; it should be {LEVEL:g}."
    )
    with_signal = [cell for cell in cells if cell["signal"]]
    if not with_signal:
        return words + " No signal was injected."
    expected = {cell["signal"]: f"{number(cell['n_signal'])} {cell['signal']}" for cell in with_signal}
    everywhere = len({tuple(cell["nu"]) for cell in with_signal})
    return (
        f"{words} Power: with a signal ({', '.join(expected.values())} expected at ν = 0), at ν = 0 and the lowest of "
        f"{everywhere} points, {_numbers('n_toys', with_signal)} data sets each; in brackets the median Z. Where the "
        "type-I error is too high, power means little."
    )


def _numbers(key: str, cells: Sequence[Cell]) -> str:
    return " or ".join(f"{n:,}" for n in sorted({cell[key] for cell in cells}))
