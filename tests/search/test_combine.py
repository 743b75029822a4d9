"""What every combination of p-values must do, and the formula of each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.problems import Floats
from unseen.search.combine import COMBINATIONS, cauchy, fisher, harmonic_mean, mean_p, smallest_p

EVERY = pytest.mark.parametrize("name", list(COMBINATIONS))
ROUNDING = 1e-12


def moderate(n: int = 200, k: int = 5) -> Floats:
    return np.log(np.random.default_rng(0).uniform(1e-4, 1 - 1e-4, (n, k)))


def extreme(n: int = 500, k: int = 4) -> Floats:
    """Return log p anywhere in [-700, 0], its ends and both sides of one half included."""
    rng = np.random.default_rng(1)
    ends = np.array([-700.0, -1e-300, -1e-16, 0.0, np.log(0.5), np.nextafter(np.log(0.5), 0.0)])
    drawn = np.stack([-(10 ** rng.uniform(-20, np.log10(700), (n, k))), rng.choice(ends, (n, k))])
    return rng.permuted(drawn, axis=0)[0]


@EVERY
def test_a_smaller_p_at_any_width_is_not_less_anomalous(name: str) -> None:
    for log_p in (moderate(), extreme()):
        before = COMBINATIONS[name](log_p)
        for k in range(log_p.shape[1]):
            for factor in (1.01, 3.0):
                lower = log_p.copy()
                lower[:, k] = np.maximum(factor * lower[:, k] - 1e-3, -700.0)
                assert (COMBINATIONS[name](lower) >= before - ROUNDING * np.maximum(1.0, np.abs(before))).all()


@EVERY
def test_smaller_p_everywhere_is_more_anomalous(name: str) -> None:
    log_p = moderate()
    assert (COMBINATIONS[name](1.1 * log_p) > COMBINATIONS[name](log_p)).all()


@EVERY
def test_the_order_of_the_widths_does_not_matter(name: str) -> None:
    for log_p in (moderate(), extreme()):
        shuffled = COMBINATIONS[name](log_p[:, ::-1])
        np.testing.assert_allclose(shuffled, COMBINATIONS[name](log_p), rtol=ROUNDING, atol=ROUNDING)


@EVERY
def test_one_width_keeps_the_order(name: str) -> None:
    log_p = np.concatenate([-np.geomspace(700.0, 1e-14, 300), [0.0]])
    combined = COMBINATIONS[name](log_p[:, None])
    assert combined.shape == (301,)
    assert (np.diff(combined) < 0).all()


@EVERY
@pytest.mark.parametrize("k", [1, 2, 100_000])
def test_it_is_finite_at_the_extremes(name: str, k: int) -> None:
    for value in (-700.0, -1e-320, 0.0):
        assert np.isfinite(COMBINATIONS[name](np.full((1, k), value))).all()
    assert np.isfinite(COMBINATIONS[name](extreme())).all()
    assert COMBINATIONS[name](np.empty((0, 3))).shape == (0,)


@EVERY
def test_it_does_not_change_its_input(name: str) -> None:
    log_p = moderate()
    COMBINATIONS[name](log_p)
    np.testing.assert_array_equal(log_p, moderate())


def test_formulas() -> None:
    log_p = moderate()
    p = np.exp(log_p)
    np.testing.assert_allclose(smallest_p(log_p), -np.log(p.min(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(mean_p(log_p), -np.log(p.mean(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(harmonic_mean(log_p), np.log((1 / p).mean(axis=1)), rtol=1e-12)
    T = np.tan((0.5 - p) * np.pi).mean(axis=1)
    np.testing.assert_allclose(cauchy(log_p), -stats.cauchy.logsf(T), rtol=1e-9)
    direct = [stats.combine_pvalues(row, "fisher").statistic for row in p]
    np.testing.assert_allclose(fisher(log_p), direct, rtol=1e-12)


def test_cauchy_of_equal_p_is_that_p() -> None:
    """At p = 1 too, where the naive tangent has lost every digit."""
    log_p = np.array([-700.0, -300.0, -30.0, -1.0, np.log(0.5), -1e-3, -1e-12, -1e-15])
    np.testing.assert_allclose(cauchy(np.repeat(log_p[:, None], 7, axis=1)), -log_p, rtol=1e-12)


def test_cauchy_p_values_are_uniform_for_independent_ones() -> None:
    p = np.random.default_rng(2).uniform(size=(20_000, 6))
    assert stats.kstest(np.exp(-cauchy(np.log(p))), "uniform").pvalue > 1e-3


def test_one_excess_among_many_widths_is_seen_by_all_but_the_mean() -> None:
    log_p = np.log(np.full((1, 7), 0.5))
    log_p[0, 3] = -40.0
    for name in ("smallest_p", "cauchy", "harmonic_mean"):
        assert COMBINATIONS[name](log_p) > 37.0
    assert fisher(log_p) > 80.0
    assert mean_p(log_p) < 1.0
