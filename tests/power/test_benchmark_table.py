"""The words of the benchmarks' tables for numbers of signal events."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from unseen.power.crossing import Crossing

PATH = Path(__file__).parents[2] / "benchmarks" / "table.py"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((33.04, 44.46), "33.0 to 44.5"),
        ((None, None), "interval open"),
        ((33.0, None), "33.0 or more"),
        ((None, 44.5), "up to 44.5"),
    ],
)
def test_an_open_interval_is_said_and_not_a_number(interval: tuple[float | None, float | None], words: str) -> None:
    spec = importlib.util.spec_from_file_location("table", PATH)
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    assert table.ends(Crossing(2.0, 38.0, interval, "")) == words
