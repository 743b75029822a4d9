"""Z of pseudo-data from ranks among null toys, and what that resolves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.power.problems import fitted, samples
from unseen.power.significance import ENOUGH_BEYOND, Significance, significance
from unseen.search import Null


def normal_null(n: int) -> Null:
    """Return a null of n toys whose ranks are exact: chi-squared quantiles."""
    return Null(stats.chi2.isf((np.arange(n) + 0.5) / n, 5)[:, None], "converged")


def test_z_is_that_of_the_rank() -> None:
    null = normal_null(99)
    t = np.array([[1e3], [null.t[0, 0]], [null.t[9, 0]], [null.t[49, 0] + 1e-9], [0.0]])
    found = significance(null, t)
    np.testing.assert_allclose(found.p, [0.01, 0.02, 0.11, 0.5, 1.0])
    np.testing.assert_allclose(found.z, stats.norm.isf([0.01, 0.02, 0.11, 0.5, 0.99]))
    assert (found.resolution, found.n_null) == (0.01, 99)
    assert found.largest_z == pytest.approx(stats.norm.isf(0.01))


def test_several_widths_are_ranked_together() -> None:
    null = Null(np.random.default_rng(0).chisquare(5, (199, 3)), "converged")
    t = np.random.default_rng(1).chisquare(5, (10, 3))
    np.testing.assert_array_equal(significance(null, t).p, [null.p_value(row).p for row in t])


@pytest.mark.parametrize("level", [2.0, 3.0])
def test_a_level_is_resolved_with_enough_toys_beyond_it(level: float) -> None:
    needed = int(np.ceil(ENOUGH_BEYOND / stats.norm.sf(level)))
    assert Significance(np.ones(3), 1 / needed, needed).resolves(level)
    assert not Significance(np.ones(3), 1 / needed, needed - 1).resolves(level)
    assert Significance(np.ones(3), 1e-300, None).resolves(37.0)


def test_an_analytic_null_needs_no_toys_for_one_width_and_has_the_resolution_of_its_draws_for_two() -> None:
    own = samples()
    for widths, n_null, deepest in ((1.5, None, 30.0), ((0.5, 1.5), 2000, stats.norm.isf(1 / 2001))):
        test = fitted(statistic="linear", widths=widths)
        null = test.calibrate(own.pool, method="asymptotic", n_toys=2000)
        bump = np.vstack([own.signals["bump"], own.pool[:80]])
        weak = own.pool[:80]
        t = np.array([test.statistic(x).t for x in (weak, bump)])
        both, strong = significance(null, t), significance(null, t[1:])
        assert both.n_null == strong.n_null == n_null
        assert both.largest_z == strong.largest_z  # also where no draw is as extreme as any of the data
        assert both.largest_z >= deepest - 1e-9
        assert both.z[0] < 4.0 < both.largest_z if n_null is None else both.z[1] == both.largest_z


def test_drawing_again_has_the_spread_of_ranks() -> None:
    """Among n null toys drawn again, the number above the same data varies as a binomial."""
    n, rng = 400, np.random.default_rng(2)
    p = np.full(30, 41 / (n + 1))  # 40 null toys above
    again = np.array([Significance(p, 1 / (n + 1), n).resampled(rng).p[0] * (n + 1) - 1 for _ in range(4000)])
    variance = 40 * (1 - 40 / n)
    assert abs(again.mean() - 40) < 4 * np.sqrt(variance / 4000)
    assert abs(again.var() / variance - 1) < 5 * np.sqrt(2 / 4000)


def test_drawing_again_keeps_an_analytic_null() -> None:
    p = np.random.default_rng(3).uniform(size=50)
    again = Significance(p, 1e-300, None).resampled(np.random.default_rng(4))
    assert set(again.p) < set(p)
    assert len(again.p) == 50
