"""Where signals are injected, how many events, and what the columns say of the cells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.study.covariance.invented import CONFIG, cells
from unseen.study.covariance.robustness_columns import signal_numbers, summary
from unseen.study.covariance.signal_points import SIGNAL_POINTS


@pytest.mark.parametrize(
    ("where", "expected"), [("all", range(7)), ("axes", range(5)), ("few", (0, 5, 6)), ("none", ())]
)
def test_signals_are_injected_at_these_points(where: str, expected: range | tuple[int, ...]) -> None:
    """The grid: nu = 0, either parameter alone at -2 and 2, two combinations."""
    grid, with_signal = CONFIG.model_copy(update={"signal_points": where}).robustness_grid(2, 1)
    assert [np.count_nonzero(nu) for nu in grid] == [0, 1, 1, 1, 1, 2, 2]
    assert [nu.tolist() for nu in grid[1:5]] == [[-2.0, 0.0], [2.0, 0.0], [0.0, -2.0], [0.0, 2.0]]
    assert with_signal == list(expected)


def test_every_way_to_choose_points_is_tested_and_all_is_the_default() -> None:
    assert set(SIGNAL_POINTS) == {"all", "axes", "few", "none"}
    assert CONFIG.signal_points == "all"


def test_the_number_of_signal_events_is_three_sigma_unless_given() -> None:
    assert signal_numbers(CONFIG, ("heavy", "soft"), 400.0) == {"heavy": 60.0, "soft": 60.0}
    given = CONFIG.model_copy(update={"n_signal": {"soft": 7.0}})
    assert signal_numbers(given, ("heavy", "soft"), 400.0) == {"soft": 7.0}


def test_the_columns_say_lowest_mean_and_highest_and_where() -> None:
    values = summary(cells())
    assert values["robustness.profiled.lowest"] == values["robustness.profiled.highest"] == 0.05
    assert values["robustness.ignored.at_zero"] == 0.05
    assert values["robustness.ignored.highest"] == pytest.approx(0.45)
    assert values["robustness.profiled.heavy.at_zero"] == pytest.approx(0.8)
    assert values["robustness.profiled.heavy.lowest"] == pytest.approx(0.6)
    assert json.loads(values["robustness.profiled.heavy.lowest_nu"]) == [-2.0, 0.0]
    assert values["robustness.profiled.heavy.z_at_zero"] == 2.326  # 2.4, which 99 null toys do not resolve
    assert values["robustness.profiled.heavy.z_lowest"] == pytest.approx(1.8)
    assert values["robustness.profiled.heavy.z_largest"] == 2.326
    rates = [cell.rate for cell in cells() if (cell.treatment, cell.signal) == ("profiled", "soft")]
    assert len(rates) == 7  # 0, either axis at -2 and 2, two combinations
    assert values["robustness.profiled.soft.mean"] == pytest.approx(np.mean(rates))
    assert summary([])["robustness.cells"] == "[]"
