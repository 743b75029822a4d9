"""What `unseen study --dry-run` counts, against what a study then does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.study.problems import settings
from tests.study.test_systematic import SECTION
from unseen.study import entries, parse_study
from unseen.study.estimate import Cost, uncounted
from unseen.study.grid import Entry
from unseen.studying import cost_lines

TUNED = {"encoder": {"name": "mlp", "dim": 2, "hidden": [8]}, "objective": "classifier", "fine_tune": {}}


def counted(maps: int = 1, **changes: Any) -> dict[str, int]:
    config = parse_study({**settings(Path()), "models": {}, **changes})
    return uncounted(entries(config), config, maps)


def test_everything_is_timed_without_systematics_ceiling_and_optuna() -> None:
    assert counted() == {}


def test_systematics_are_counted_by_kind() -> None:
    found = counted(maps=3, systematics=SECTION, models={"tuned": TUNED}, leave_out=["z"])
    # leading_pt, dim=2, dim=3 and the one that is fine-tuned, again without z.
    assert found["fine-tunings"] == 2
    assert found["density ratios"] == 3 + 4
    assert found["closure points"] == 4 * (2 * 2 + 1)
    assert found["pull samples"] == 4 * 100
    # 0, 2 on either axis and one combination; 12 data sets with each of two signals at all of them; the null.
    for treatment in SECTION["treatments"]:
        assert found[f"toys times widths ({treatment})"] == 4 * 3 * (40 + 20 * 4 + 12 * 4 * 2)
    assert "toys times widths (power_kept)" not in found


@pytest.mark.parametrize(("points", "n"), [("all", 4), ("axes", 3), ("few", 2), ("none", 0)])
def test_the_points_that_get_signals_are_counted(points: str, n: int) -> None:
    found = counted(systematics={**SECTION, "signal_points": points, "n_signal": {"soft": 5.0}}, grid=None)
    assert found["toys times widths (profiled)"] == 40 + 20 * 4 + 12 * n


@pytest.mark.parametrize(("widths", "columns"), [("several", 3), ("one", 1)])
def test_toys_count_once_for_each_width(widths: str, columns: int) -> None:
    one = counted(systematics={**SECTION, "power_kept": True}, grid=None)
    assert one["toys times widths (power_kept)"] == 2 * (600 + 2 * 11 * 20)
    several = counted(3, systematics={**SECTION, "power_kept": True}, grid=None, representation_widths=[widths])
    toys = [kind for kind in one if kind.startswith("toys")]
    assert {kind: several[kind] for kind in toys} == {kind: columns * one[kind] for kind in toys}


def test_what_is_switched_off_is_not_counted() -> None:
    section = {**SECTION, "treatments": [], "information": False, "pull_points": 0}
    assert counted(systematics=section, grid=None) == {"density ratios": 1, "closure points": 5}


def test_rivals_ceilings_and_trials_are_said() -> None:
    optuna = {"objective": "synthetic", "trials": 4, "parameters": {"lr": {"low": 0.001, "high": 0.01}}}
    power = settings(Path())["power"] | {"ceiling": True, "tests": ["kernel", "mmd"]}
    assert counted(power=power, optuna=optuna) == {"scans with rivals": 3, "ceilings": 2, "trials of optuna": 4}


def test_a_dry_run_says_what_its_seconds_leave_out() -> None:
    lines = cost_lines([Entry("a", "a", "representation")], Cost(1, 0, 1200, 0.0, 3.0, {"pull samples": 40_000}))
    assert lines[-1] == "not in that time: 40 000 pull samples"
    assert not any("not in" in line for line in cost_lines([], Cost(0, 0, 0, 0.0, 0.0)))
