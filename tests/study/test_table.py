"""Rows on disk, and what is derived from the whole table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.errors import CorruptFileError, MissingFileError
from unseen.study import compare, read_table
from unseen.study.comparison import groups_of
from unseen.study.rows import Row, flat, read_row, write_row, write_table

SIGNALS = ("a", "b")


def row(name: str, kind: str, numbers: tuple[float | None, ...], above: float | None = None) -> dict[str, object]:
    values: dict[str, object] = {"name": name, "kind": kind}
    for signal, n in zip(SIGNALS, numbers, strict=True):
        ends = (None, None) if n is None else (0.9 * n, 1.2 * n)
        place = f"constrained(0.05).{signal}" if kind == "odd" else f"known.{signal}"
        values |= {f"{place}.n3": n, f"{place}.n3_low": ends[0], f"{place}.n3_high": ends[1]}
        values[f"{place}.n3_above"] = above if n is None else None
    return values


def test_gains_efficiencies_and_means() -> None:
    rows = [
        row("neyman_pearson", "ceiling", (5.0, 20.0)),
        row("raw", "representation", (None, 400.0), 1000.0),
        row("leading_pt", "representation", (40.0, 80.0)),
        row("mine", "model", (10.0, 40.0)),
    ]
    mine = compare(rows)[-1]
    assert mine["known.n3"] == pytest.approx(20.0)
    assert mine["known.n3_low"] == pytest.approx(20.0 * 0.9 ** (1 / np.sqrt(2)))
    assert mine["known.n3_high"] == pytest.approx(20.0 * 1.2 ** (1 / np.sqrt(2)))
    assert (mine["known.a.gain_raw"], mine["known.a.gain_raw_above"]) == (None, 100.0)
    assert mine["known.b.gain_raw"] == 10.0
    assert (mine["known.gain_raw"], mine["known.gain_raw_above"]) == (None, pytest.approx(np.sqrt(1000.0)))
    assert mine["known.gain_leading_pt"] == pytest.approx(np.sqrt(8.0))
    assert (mine["known.a.efficiency"], mine["known.efficiency"]) == (0.5, pytest.approx(0.5))
    down, up = np.hypot(np.log(0.9), np.log(1.2)) * np.array([-1.0, 1.0])  # either end meets both kinds of error once
    assert mine["known.a.efficiency_low"] == pytest.approx(0.5 * np.exp(down))
    assert mine["known.a.efficiency_high"] == pytest.approx(0.5 * np.exp(up))
    assert mine["known.gain_leading_pt_low"] == pytest.approx(np.sqrt(8.0) * np.exp(down / np.sqrt(2)))
    assert (mine["known.a.gain_raw_low"], mine["known.gain_raw_high"]) == (None, None)
    assert compare(rows)[1]["known.n3"] is None
    assert {key: value for key, value in mine.items() if key in rows[-1]} == rows[-1]


def test_the_tests_of_a_table_are_read_from_its_columns() -> None:
    odd = row("x", "odd", (1.0, 2.0))
    left_out = {"name": "y", "kind": "model", "leave_out.known.z.n3": 3.0, "leave_out.known.z.n3_above": None}
    table = compare([odd, left_out])
    assert groups_of(table) == {"constrained(0.05)": ["a", "b"], "leave_out.known": ["z"]}
    assert table[0]["constrained(0.05).n3"] == pytest.approx(np.sqrt(2.0))
    assert table[1]["leave_out.known.n3"] == pytest.approx(3.0)
    assert "leave_out.known.efficiency" not in table[1]


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    values = flat({"a": 1, "b": {"c": [1, 2], "d": None}, "e": "text", "f": 0.1, "g": True})
    assert values == {"a": 1, "b.c": "[1, 2]", "b.d": None, "e": "text", "f": 0.1, "g": True}
    made = Row("x", "abc", values, {"total": 1.5})
    assert read_row(tmp_path, "abc", "x") is None
    write_row(tmp_path, made)
    assert read_row(tmp_path, "abc", "x") == made


def test_columns_of_several_kinds_become_one(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 1}, {"a": 2.5, "b": "text", "c": None}]
    write_table(tmp_path / "t.parquet", rows)
    assert read_table(tmp_path / "t.parquet") == [{"a": 1.0, "b": "1", "c": None}, {"a": 2.5, "b": '"text"', "c": None}]


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no table"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptFileError, match="delete it to measure it again"):
        read_table(tmp_path / "t.parquet")
