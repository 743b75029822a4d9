from __future__ import annotations

import pytest

from unseen.errors import UnknownNameError
from unseen.study.covariance import nu_grid, number_ratio

BEFORE = {"known.bump.n3": 100.0, "known.bump.n3_low": 90.0, "known.bump.n3_high": 110.0, "known.bump.n3_above": None}
AFTER = {"known.bump.n3": 120.0, "known.bump.n3_low": 110.0, "known.bump.n3_high": 130.0, "known.bump.n3_above": None}


def test_the_ratio_and_its_interval() -> None:
    found = number_ratio(BEFORE, AFTER, "bump")
    assert found.value == pytest.approx(1.2)
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert 1.0 < low < 1.2 < high < 1.4


def test_what_is_out_of_reach_gives_a_bound() -> None:
    after = dict(AFTER) | {"known.bump.n3": None, "known.bump.n3_above": 500}
    found = number_ratio(BEFORE, after, "bump")
    assert found.value is None
    assert found.at_least == pytest.approx(5.0)
    with pytest.raises(UnknownNameError, match=r"known\.bump"):
        number_ratio(BEFORE, AFTER, "bmp")


def test_a_grid_has_axes_and_combinations() -> None:
    grid = nu_grid(3, values=(-1.0, 2.0), combinations=5, seed=1)
    assert len(grid) == 11
    assert max(abs(nu).max() for nu in grid) <= 2.0
    assert all((nu != 0).sum() == 1 for nu in grid[:6])
    assert all((nu != 0).all() for nu in grid[6:])
    assert len(nu_grid(1)) == 4
