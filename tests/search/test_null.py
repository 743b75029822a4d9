"""From toys to p-values: counts, intervals, the smooth null and the combination."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.errors import ConfigError
from unseen.search.combine import COMBINATIONS
from unseen.search.null import Null
from unseen.search.pvalue import empirical_p
from unseen.search.smooth import log_p_among


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


def test_p_of_one_width_is_a_rank_in_the_bulk_and_exponential_in_the_tail() -> None:
    """Against the definition, one sample at a time; the tail has ten samples."""
    t = np.random.default_rng(4).chisquare(8, (300, 2))
    log_p = log_p_among(t)
    for column, found in zip(t.T, log_p.T, strict=True):
        ordered = np.sort(column)[::-1]
        for x, value in zip(column, found, strict=True):
            others = [y - ordered[10] for y in ordered[:10] if y != x]
            expected = np.log(np.sum(column >= x) / 300) if x <= ordered[10] else np.log(10 / 300)
            expected -= max(0.0, x - ordered[10]) / (np.mean(others) if x > ordered[10] else 1.0)
            assert value == pytest.approx(expected, rel=1e-10)
    assert (np.argsort(log_p, axis=0) == np.argsort(-t, axis=0)).all()


def test_the_tail_says_what_is_true_of_a_chi_squared() -> None:
    """Far beyond the toys it extrapolates; the width of a chi-squared's tail is nearly constant there."""
    null = Null(np.random.default_rng(5).chisquare(8, (10_000, 2)), "linear")
    t = stats.chi2.isf(1e-4, 8)
    assert null.log_p_per_width(np.full(2, t)) == pytest.approx(np.log(1e-4), abs=1.0)
    assert np.isfinite(null.log_p_per_width(np.array([1e300, -1e300]))).all()


def test_equal_statistics_have_equal_p() -> None:
    t = np.repeat(np.arange(20.0), 5)[:, None]
    log_p = log_p_among(t)[:, 0]
    assert len(np.unique(log_p)) == 20
    assert (np.diff(log_p) <= 0).all()
    assert np.isfinite(log_p_among(np.append(np.zeros((30, 1)), [[1.0]], axis=0))).all()


def test_a_long_tail_at_one_width_does_not_hide_the_others() -> None:
    """At the narrowest widths a few toys are very extreme: they must not count for more than their number."""
    rng = np.random.default_rng(6)
    toys = np.stack([np.exp(2.5 * rng.normal(size=5000)), *rng.chisquare(10, (2, 5000))], axis=1)
    data = np.array([1.0, stats.chi2.isf(1e-4, 10), 10.0])
    assert Null(toys, "linear").p_value(data).p < 1e-3


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
    least = t[:, 0].argmin()
    usual = Null(t, "converged").log_p_per_width(np.array([30.0, 30.0]))
    t[least, 0] = -35_000.0
    np.testing.assert_array_equal(Null(t, "converged").log_p_per_width(np.array([30.0, 30.0])), usual)
