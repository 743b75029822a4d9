"""Which numbers of signal events are scanned, with powers that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.study.injections import Search, find_injections, refined, rungs

LEVELS = (2.0, 3.0, 5.0)


class Linear:
    """Z rises linearly with the signal and fluctuates by one; counts how often it was asked."""

    def __init__(self, n3: float) -> None:
        self.n3, self.asked = n3, list[int]()

    def __call__(self, n: int) -> dict[float, float]:
        self.asked.append(n)
        return {level: float(stats.norm.sf(level - 3.0 * n / self.n3)) for level in LEVELS}


@pytest.mark.parametrize("n3", [2.0, 17.0, 90.0, 400.0, 2500.0])
def test_every_crossing_is_inside_with_one_rung_to_spare(n3: float) -> None:
    power, search = Linear(n3), Search(2000.0, 10_000, 1.5)
    found = find_injections(search, LEVELS, power)
    assert found.out_of_reach == ()
    numbers = np.array(found.injections)
    assert (np.diff(numbers) > 0).all()
    for level in LEVELS:
        crossing = level / 3.0 * n3
        assert (numbers >= crossing).sum() >= 2
        assert (numbers < crossing).sum() >= 1
        near = numbers[numbers >= crossing][0] / max(1, numbers[numbers < crossing][-1])
        assert near <= 2.01  # the factor, but for whole numbers
    assert len(power.asked) == len(set(power.asked)) <= 14


def test_a_level_beyond_all_signal_events_is_said() -> None:
    found = find_injections(Search(2000.0, 100, 1.5), LEVELS, Linear(120.0))
    assert found.out_of_reach == (3.0, 5.0)
    assert found.injections[-1] == 100
    assert find_injections(Search(2000.0, 100, 1.5), LEVELS, Linear(1e6)).out_of_reach == LEVELS


def test_given_numbers_are_kept_and_extended_until_the_level_is_inside() -> None:
    given = (0, 10, 20)
    assert rungs(Search(100.0, 50, 2.0, given)) == [0, 1, 2, 5, 10, 20, 40, 50]
    enough = find_injections(Search(100.0, 50, 2.0, given), (2.0,), Linear(22.0))
    assert set(given) <= set(enough.injections)
    more = find_injections(Search(100.0, 500, 2.0, given), (3.0,), Linear(100.0))
    assert set(given) <= set(more.injections)
    assert max(more.injections) >= 160


def test_an_open_interval_gets_numbers_around_it() -> None:
    search = Search(100.0, 60, 1.5)
    assert refined((10, 20, 40), [15.0], search) == (6, 10, 14, 20, 40)
    assert refined((10, 20, 40), [30.0], search) == (10, 20, 28, 40, 60)
    assert refined((0, 20, 40), [5.0], search) == (0, 10, 20, 40)
    assert refined((10, 20, 40), [], search) == (10, 20, 40)
