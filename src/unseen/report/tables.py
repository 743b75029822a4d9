"""The tables of a report: most anomalous events, widths, checks, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.events.observables import OBSERVABLES
from unseen.report.checks import VERDICTS, outcome
from unseen.report.inputs import MAX_LOG_RATIO, ReportInputs
from unseen.report.wording import duration, number, p_text, plain

__all__ = ["Table", "anomalous_events", "checks", "durations", "mapping", "widths"]

MOST_EVENTS = 20
COLUMNS = {
    "leading_lepton_pt": "lepton pt",
    "met": "missing pt",
    "ht": "HT",
    "jet_multiplicity": "jets",
    "lepton_multiplicity": "leptons",
    "dilepton_mass": "dilepton mass",
}
COUNTS = ("jet_multiplicity", "lepton_multiplicity")


@dataclass(frozen=True)
class Table:
    """A caption, column heads, and rows of text."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: tuple[int, ...] = (0,)


def anomalous_events(inputs: ReportInputs) -> Table:
    """The data events of highest f, with kinematics where these are events and truth where it is known."""
    rows = inputs.most_anomalous[:MOST_EVENTS]
    f = np.asarray(inputs.f_data, np.float64)[rows]
    columns = {
        "rank": [str(i + 1) for i in range(len(rows))],
        "row": [str(row) for row in rows],
        "f": [f"{value:.2f}" for value in f],
        "exp f": [_ratio(math.exp(min(value, MAX_LOG_RATIO))) for value in f],
    }
    columns |= _kinematics(inputs, rows) if inputs.data is not None else _coordinates(inputs, rows)
    if inputs.is_signal is not None and inputs.data is not None:
        names, label = inputs.data.label_names, inputs.data.label[rows]
        columns["truth"] = [names[code] for code in label]
    caption = f"The {len(rows)} data events with the highest f. Row: place in the data sample, from 0."
    if "truth" in columns:
        caption += " Truth: known because these data were simulated; the search did not see it."
    return Table(caption, tuple(columns), tuple(zip(*columns.values(), strict=True)), ())


def widths(result: Mapping[str, Any]) -> Table | None:
    """t and p of every kernel width."""
    values = {name: result.get(name) or () for name in ("widths", "t", "p_per_width")}
    n = max(len(value) for value in values.values())
    if not n:
        return None

    def cell(name: str, i: int) -> float:
        value = values[name][i] if i < len(values[name]) else None
        return math.nan if value is None else float(value)

    rows = []
    for i in range(n):
        width, t, p = (cell(name, i) for name in values)
        rows.append(
            (
                f"{i + 1}" if math.isnan(width) else number(width),
                "–" if math.isnan(t) else f"{t:.2f}",
                "–" if math.isnan(p) else p_text(p),
            )
        )
    return Table(
        "The statistic t at every kernel width, and the p-value of that width alone. It comes from a smooth fit to the "
        "toys and only ranks the widths: the verdict counts toys.",
        ("width", "t", "p"),
        tuple(rows),
    )


def checks(result: Mapping[str, Any]) -> Table | None:
    """What was checked and how it went; numbers that were recorded without a verdict are listed too."""
    listed = dict(result.get("checks") or {})
    if "converged" in result:
        listed = {"fit_converged": "passed" if result["converged"] else "failed", **listed}
    if not listed:
        return None
    rows = tuple((name.replace("_", " "), _outcome(name, value)) for name, value in listed.items())
    return Table("Checks of the test.", ("check", "outcome"), rows, (0, 1))


def durations(inputs: ReportInputs) -> Table | None:
    """Wall-clock time per stage."""
    if not inputs.durations:
        return None
    rows = [(stage, duration(float(seconds))) for stage, seconds in inputs.durations.items()]
    rows.append(("total", duration(float(sum(inputs.durations.values())))))
    return Table("Time per stage.", ("stage", "time"), tuple(rows))


def mapping(caption: str, values: Mapping[str, Any] | None) -> Table | None:
    """A nested mapping as two columns, nested names joined by colons."""
    if not values:
        return None
    rows = tuple((name.replace("_", " "), plain(value)) for name, value in flatten(values).items())
    return Table(caption, ("item", "value"), rows, (0, 1))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by ": "."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}: ")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _outcome(name: str, value: Any) -> str:
    passed = outcome(name, value)
    if passed is None:
        return plain(value)
    rest = {k: v for k, v in value.items() if k not in VERDICTS} if isinstance(value, Mapping) else {}
    return ("passed" if passed else "failed") + (f" ({plain(rest)})" if rest else "")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 100 else number(value)


def _kinematics(inputs: ReportInputs, rows: NDArray[np.int64]) -> dict[str, list[str]]:
    assert inputs.data is not None
    events, columns = inputs.data[rows], {}
    for name, head in COLUMNS.items():
        observable = OBSERVABLES[name]
        if all(events.schema.has(needed) for needed in observable.needs):
            digits = 0 if name in COUNTS else 1
            columns[head] = [f"{v:.{digits}f}" if np.isfinite(v) else "–" for v in observable.values(events)]
    return columns


def _coordinates(inputs: ReportInputs, rows: NDArray[np.int64]) -> dict[str, list[str]]:
    return {inputs.axis_name(c): [f"{value:.3g}" for value in inputs.z_data[rows, c]] for c in range(inputs.dimensions)}
