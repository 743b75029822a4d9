"""What only the whole table knows: means over the signals, gains over simple representations, efficiencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from unseen.power.result import LEVELS
from unseen.study.grid import CEILING
from unseen.study.quotient import quotient
from unseen.study.rows import Values

__all__ = ["BASELINES", "compare", "groups_of", "mean_number"]

BASELINES = ("raw", "leading_pt")  # rows that gains are over: those with several kernel widths
LEFT_OUT = "leave_out."
CEILING_OF = {"free": "free"}  # test -> test of the ceiling it is held against; all others use the yield: known


def groups_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The tests of a table (`known`, `free`, a rival's name, `leave_out.known`) and the signals of each."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for column in row:
            above, _, key = column.rpartition(".")
            group, _, signal = above.rpartition(".")
            if key == "n3_above" and signal not in found.setdefault(group, []):  # no derived column is called so
                found[group].append(signal)
    return found


def compare(rows: Sequence[Values]) -> list[Values]:
    """The rows with their derived columns, for every test T and signal S.

    `T.n3`, `T.n3_low`, `T.n3_high` (also n2, n5): geometric mean over the signals, where all are known.
    `T.S.gain_raw`, `T.S.gain_leading_pt`: N_3 of that row over N_3 of this one; `..._above` where that row's N_3 is
    beyond all signal events, so that the gain (or the mean) is larger than this. `T.S.efficiency`: N_3 of the
    Neyman-Pearson row over this one: of shape alone for `free`, else the one that knows the yield. `T.gain_raw`, ...,
    `T.efficiency`: geometric means. All have `_low` and `_high`, with errors in quadrature; rows see the same toys, so
    those of a gain are rather too wide.
    """
    groups = groups_of(rows)
    by_name = {row["name"]: row for row in rows}
    return [dict(row) | _derived(row, groups, by_name) for row in rows]


def _derived(row: Values, groups: dict[str, list[str]], by_name: dict[str, Values]) -> Values:
    values: Values = {}
    for group, signals in groups.items():
        for level in LEVELS:
            values |= mean_number(row, group, signals, f"n{level:g}")
        ceiling = by_name.get(CEILING, {})
        for name in BASELINES:
            values |= _ratios(row, by_name.get(name, {}), group, group, signals, f"gain_{name}")
        if not group.startswith(LEFT_OUT):
            values |= _ratios(row, ceiling, group, CEILING_OF.get(group, "known"), signals, "efficiency")
    return values


def mean_number(row: Values, group: str, signals: Sequence[str], key: str) -> Values:
    """Return the geometric mean of a number over the signals; its interval adds relative errors in quadrature."""
    names = (f"{group}.{key}", f"{group}.{key}_low", f"{group}.{key}_high")
    n = [row.get(f"{group}.{signal}.{key}") for signal in signals]
    if any(value is None for value in n):
        return dict.fromkeys(names)
    middle = _mean(n)
    ends: list[float | None] = []
    for end, sign in (("low", -1.0), ("high", 1.0)):
        at = [row.get(f"{group}.{signal}.{key}_{end}") for signal in signals]
        if any(value is None or value <= 0 for value in at):
            ends.append(None)
        else:
            off = np.log(np.asarray(at, np.float64) / np.asarray(n, np.float64))
            ends.append(float(middle * np.exp(sign * np.sqrt(np.sum(off**2)) / len(off))))
    return dict(zip(names, (middle, *ends), strict=True))


def _ratios(row: Values, above: Values, group: str, of: str, signals: Sequence[str], name: str) -> Values:
    """Return N_3 of another row over N_3 of this one, for each signal and their geometric mean."""
    values: Values = {}
    for signal in signals:
        key = f"{group}.{signal}.{name}"
        found = quotient(above, f"{of}.{signal}.n3", row, f"{group}.{signal}.n3")
        values |= dict(zip((key, f"{key}_low", f"{key}_high"), found, strict=True))
        own, beyond = row.get(f"{group}.{signal}.n3"), above.get(f"{of}.{signal}.n3_above")
        if beyond is not None or name.startswith("gain"):
            values[f"{key}_above"] = beyond / own if own and beyond is not None else None
    values |= mean_number(values, group, signals, name)
    if name.startswith("gain"):
        known = values[f"{group}.{name}"] is not None
        least = [values[f"{group}.{s}.{name}"] or values[f"{group}.{s}.{name}_above"] for s in signals]
        values[f"{group}.{name}_above"] = _mean(least) if all(least) and not known else None
    return values


def _mean(n: Sequence[Any]) -> float:
    return float(np.exp(np.mean(np.log(np.asarray(n, np.float64))))) if min(n) > 0 else 0.0
