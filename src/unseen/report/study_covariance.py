"""The table of a study's section `systematics`: a line for each entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unseen.report.figures.study import StudyTable
from unseen.report.tables import Table

__all__ = ["covariance_table"]

UNKNOWN = "–"
PLACE = "nu.robustness."
Values = Mapping[str, Any]


def covariance_table(table: StudyTable) -> Table | None:
    """Return the table, None for a study that measured none of it."""
    rows = [row for row in table.rows if row.get("nu.names")]
    if not rows:
        return None
    columns = dict.fromkeys(key for row in rows for key in row)
    treatments = [key.split(".")[2] for key in columns if key.startswith(PLACE) and key.count(".") == 3]
    head = ["entry", "closure", "ignored", "AUC", "pull bias", "width", "68 % holds", "R²", "moments"]
    head += [f"p < 0.05, {name}" for name in dict.fromkeys(treatments)]
    lines = []
    for row in rows:
        cells = [row["name"], _with_error(row, "nu.closure"), _one(row, "nu.closure.ignored"), _auc(row)]
        cells += [_with_error(row, "nu.pull.bias", "nu.pull.bias_error"), _range(row, "nu.pull.width", "{:.2f}")]
        cells += [_range(row, "nu.pull.coverage", "{:.3f}"), _one(row, "nu.predictability.r2", "{:.3f}")]
        cells.append(_one(row, "nu.predictability.n_moving", "{:.0f}"))
        cells += [_rates(row, f"{PLACE}{name}") for name in dict.fromkeys(treatments)]
        lines.append(tuple(cells))
    return Table(
        "Closure: mean t of events at nu above that of reweighted ones, in null standard deviations, worst point of "
        "the grid (ignored: without reweighting; AUC: of a classifier, with reweighting). Pulls of nu: largest mean, "
        "widths, coverage of the 68 % interval. R²: least share of a moving moment that reweighting predicts, and how "
        "many move. p < 0.05: rates without a signal, lowest to highest of all points.",
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


def _rates(row: Values, key: str) -> str:
    low, high = row.get(f"{key}.lowest"), row.get(f"{key}.highest")
    return UNKNOWN if low is None or high is None else f"{low:.2f} to {high:.2f}"
