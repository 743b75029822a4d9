"""From toys to p-values: counts, intervals, the smooth null and the combination."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.errors import ConfigError
from unseen.search.combine import COMBINATIONS
from unseen.search.null import Null, gamma_log_p
from unseen.search.pvalue import empirical_p


def test_empirical_p_counts_itself() -> None:
    toys = np.arange(99.0)
    p = empirical_p(95.0, toys)  # 95, 96, 97, 98 are at least as large
    assert p.p == pytest.approx(5 / 100)
    assert p.z == pytest.approx(stats.norm.isf(0.05))
    assert p.interval[0] < 4 / 99 < p.interval[1]
    low, high = p.z_interval
    assert low is not None
    assert high is not None
    assert low < p.z < high


def test_clopper_pearson_covers() -> None:
    rng = np.random.default_rng(0)
    for true in (0.02, 0.3):
        k = rng.binomial(200, true, 400)
        toys = np.arange(200.0)
        interval = [empirical_p(200.0 - n, toys).interval for n in k]
        covered = np.mean([low <= true <= high for low, high in interval])
        assert covered > 0.683 - 4 * np.sqrt(0.683 * 0.317 / 400)


def test_the_ends_are_bounded_by_the_resolution() -> None:
    toys = np.arange(99.0)
    top, bottom = empirical_p(1e9, toys), empirical_p(-1.0, toys)
    assert top.at_resolution
    assert top.p == top.resolution == 0.01
    assert top.z_interval[1] is None
    assert bottom.p == 1.0
    assert bottom.z == pytest.approx(-top.z)
    assert bottom.z_interval[0] is None


def test_gamma_null_is_a_chi_squared_for_its_moments() -> None:
    t = np.array([1.0, 8.0, 40.0])
    log_p = gamma_log_p(t, np.array(8.0), np.array(16.0))
    np.testing.assert_allclose(log_p, stats.chi2.logsf(t, 8), rtol=1e-10)
    assert np.isfinite(gamma_log_p(np.array([1e6, -3.0]), np.array(8.0), np.array(16.0))).all()


@pytest.mark.parametrize("combination", list(COMBINATIONS))
def test_global_p_is_uniform_when_the_smooth_null_is_wrong(combination: str) -> None:
    rng = np.random.default_rng(1)

    def draw(n: int) -> np.ndarray:
        common = rng.normal(size=(n, 1))
        return np.exp(0.7 * common + rng.normal(size=(n, 3)))  # correlated and far from gamma

    p = np.array([Null(draw(19), "converged", combination).p_value(draw(1)[0]).p for _ in range(1000)])
    counts = np.bincount(np.round(p * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == 1000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_mean_of_p_gains_what_one_width_can_give_it() -> None:
    """The one combination that an excess at a single width cannot take far: p = 0 there lowers a mean of 7 by 1/7."""
    null = Null(np.random.default_rng(2).chisquare(10, (300, 7)), "converged", "mean_p")
    usual, excess = np.full((2, 7), 10.0)
    excess[3] = 60.0
    combined, before = (float(np.exp(-null.combined(t)[0])) for t in (excess, usual))
    p = np.exp(null.log_p_per_width(usual))
    assert combined == pytest.approx(before - p[3] / 7, rel=0.02)  # moments include the data: t = 60 moves them


@pytest.mark.parametrize("combination", sorted(set(COMBINATIONS) - {"mean_p"}))
def test_an_excess_at_one_width_is_kept(combination: str) -> None:
    rng = np.random.default_rng(2)
    null = Null(rng.chisquare(10, (300, 7)), "converged", combination)
    t = np.full(7, 10.0)
    t[3] = 60.0
    assert null.p_value(t).at_resolution
    t[3] = 1e5
    assert null.p_value(t).at_resolution


def test_a_null_without_spread_or_with_few_toys_is_named() -> None:
    with pytest.raises(ConfigError, match="toys"):
        Null(np.ones((5, 1)), "converged")
    with pytest.raises(ConfigError, match="vary"):
        Null(np.ones((50, 1)), "converged")


def test_one_absurdly_negative_toy_does_not_spoil_the_smooth_null() -> None:
    t = np.random.default_rng(3).chisquare(10, (300, 2))
    t[7, 0] = -35_000.0
    p = np.exp(Null(t, "converged").log_p_per_width(np.array([30.0, 30.0])))
    assert p[0] == pytest.approx(p[1], rel=2.0)
    assert p[0] < 0.01
