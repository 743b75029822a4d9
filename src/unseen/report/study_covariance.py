"""The table of a study's section `systematics`: a line for each entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unseen.report.figures.study import StudyTable
from unseen.report.tables import Table
from unseen.report.wording import count

__all__ = ["covariance_table"]

UNKNOWN = "–"
Values = Mapping[str, Any]


def covariance_table(table: StudyTable) -> Table | None:
    """Return the table, None for a study that measured none of it."""
    rows = [row for row in table.rows if row.get("nu.names")]
    if not rows:
        return None
    head = ["entry", "closure", "ignored", "AUC", "pull bias", "width", "68 % holds", "error of ν", "events"]
    head += ["R²", "moments"]
    lines = []
    for row in rows:
        cells = [row["name"], _with_error(row, "nu.closure"), _one(row, "nu.closure.ignored"), _auc(row)]
        cells += [_with_error(row, "nu.pull.bias", "nu.pull.bias_error"), _range(row, "nu.pull.width", "{:.2f}")]
        cells += [_range(row, "nu.pull.coverage", "{:.3f}"), _range(row, "nu.pull.error", "{:.2f}"), _events(row)]
        cells.append(_one(row, "nu.predictability.r2", "{:.3f}"))
        cells.append(_one(row, "nu.predictability.n_moving", "{:.0f}"))
        lines.append(tuple(cells))
    return Table(
        "Closure: mean t of events at nu above that of reweighted ones, in null standard deviations, worst point of "
        "the grid (ignored: without reweighting; AUC: of a classifier, with reweighting). Pulls of ν: largest mean, "
        "widths, coverage of the 68 % interval, and what they were measured with: the median error of ν, of the "
        "parameter that is known best and worst (1: the events say nothing beyond the auxiliary measurement, and the "
        "pull tests nothing), and the events of a sample (fewer than wanted where the pool is worth less than 100 "
        "samples). R²: least share of a moving moment that reweighting predicts, and how many move.",
        tuple(head),
        tuple(lines),
    )


def _one(row: Values, key: str, form: str = "{:.2f}") -> str:
    value = row.get(key)
    return UNKNOWN if value is None else form.format(value)


def _auc(row: Values) -> str:
    return _one(row, "nu.closure.auc", "{:.3f}")


def _with_error(row: Values, key: str, error: str | None = None) -> str:
    off = row.get(error or f"{key}.error")
    return _one(row, key) + ("" if off is None else f" ± {off:.2f}")


def _range(row: Values, key: str, form: str) -> str:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return UNKNOWN if low is None or high is None else f"{form.format(low)} to {form.format(high)}"


def _events(row: Values) -> str:
    """The events of a pull's sample, and how many were wanted if it has fewer."""
    events, wanted = row.get("nu.pull.events"), row.get("nu.pull.events_wanted")
    if events is None:
        return UNKNOWN
    return count(events) if wanted is None or events >= wanted else f"{events:,.0f} of {wanted:,.0f}"
