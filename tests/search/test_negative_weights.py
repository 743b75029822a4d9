"""Negative weights: a quadratic form can use them, a likelihood fit cannot, and both say so."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.problems import Floats, dense_linear, kernel, linear_form, mixture, small_test
from unseen import errors, positive_weights
from unseen.search import KernelTest
from unseen.search.simulation import simulation_of

N = 100.0


def signed(rng: np.random.Generator, n: int, fraction: float = 0.15) -> tuple[Floats, Floats]:
    """Return events and weights of which a fraction is -1, as generators beyond leading order give them."""
    return mixture(rng, n), np.where(rng.random(n) < fraction, -1.0, 1.0)


def fitted(**options: object) -> tuple[KernelTest, Floats]:
    rng = np.random.default_rng(1)
    x, w = signed(rng, 900)
    test = small_test(**({"widths": (0.4, 0.8), "statistic": "linear", "penalty": 1e-3} | options))
    return test.fit(x, w, expected=N, settings=mixture(rng, 30)), mixture(rng, 100)


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.05)", "free"])
def test_the_linear_statistic_is_its_definition(normalisation: str) -> None:
    test, data = fitted(normalisation=normalisation)
    assert test._need_fit().weights.sum() == pytest.approx(N)
    t = test.statistic(data).t
    for k in range(2):
        assert t[k] == pytest.approx(dense_linear(test, data, k), rel=1e-9)


@pytest.mark.parametrize("method", ["linear", "asymptotic", "auto"])
def test_a_search_with_negative_weights_runs(method: str) -> None:
    test, data = fitted()
    rng = np.random.default_rng(2)
    null = test.calibrate(mixture(rng, 600), method, n_toys=200)
    assert null.reference == "fixed"
    result = test.search(data)
    assert 0.0 < result.p_value <= 1.0
    assert result.statistic == "linear"
    assert test.search(np.vstack([data, rng.normal([2.5, -2.0], 0.1, (40, 2))])).p_value < 0.01


def test_toys_with_negative_weights_are_quadratic_forms_of_their_events() -> None:
    test, _ = fitted()
    pool, reference = mixture(np.random.default_rng(3), 600), test._need_fit()
    null = test.calibrate(pool, "linear", n_toys=10)
    z = reference.settings.scale(pool)
    plan = simulation_of(reference, z, None, "fixed").plan(10, 1, None)
    for k, sigma in enumerate(reference.settings.widths):
        form, c = linear_form(test, k), reference.settings.centers
        expected = reference.weights @ kernel(reference.z, c, sigma)
        for toy in range(10):
            data = kernel(z[plan.rows(toy)[1] - len(reference.z)], c, sigma)
            assert null.t[toy, k] == pytest.approx(form(data.sum(0) - expected), rel=1e-8)


@pytest.mark.parametrize("statistic", ["converged", "one_step"])
def test_likelihood_fits_refuse_them_and_name_the_ways_out(statistic: str) -> None:
    with pytest.raises(errors.NegativeWeightError, match=r"positive_weights, or use statistic='linear'"):
        fitted(statistic=statistic)
    test, data = fitted()
    with pytest.raises(errors.NegativeWeightError, match=f"statistic '{statistic}'"):
        test.statistic(data, mode=statistic)


def test_spread_weights_are_accepted_where_signed_ones_are_not() -> None:
    rng = np.random.default_rng(4)
    x, w = signed(rng, 900)
    spread, _ = positive_weights(x, w)
    settings, data = mixture(rng, 600), mixture(rng, 100)
    t = small_test(widths=0.8).fit(x, spread, N, settings=settings).statistic(data).t[0]
    signed_t = small_test(widths=0.8, statistic="linear").fit(x, w, N, settings=settings).statistic(data).t[0]
    assert t == pytest.approx(signed_t, rel=0.3)  # null data: the statistics agree to the order of t, and so do weights


def test_the_defaults_move_t_by_less_than_a_hundredth_of_its_spread() -> None:
    rng = np.random.default_rng(7)
    (x, w), settings, pool = signed(rng, 3000), mixture(rng, 150), mixture(rng, 600)
    exact, default = (
        small_test(widths=(0.3, 1.0, 3.0), n_centers=150, statistic="linear", **options)
        .fit(x, w, N, settings=settings)
        .calibrate(pool, "linear", n_toys=30)
        .t
        for options in ({}, {"precision": "mixed", "rank_tolerance": 0.01})
    )
    assert (np.abs(default - exact).max(axis=0) < 0.01 * exact.std(axis=0)).all()


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.05)", "free"])
@pytest.mark.parametrize("precision", ["mixed", "float64"])
def test_a_hessian_without_a_minimum_is_named(normalisation: str, precision: str) -> None:
    """All weight of a far region is negative, in the events set apart too: t has no meaning along the kernels there."""
    rng = np.random.default_rng(5)
    x = np.vstack([mixture(rng, 900), rng.normal([6.0, -6.0], 0.3, (300, 2))])
    w = np.append(np.ones(900), np.full(300, -1.0))
    for tolerance in (0.0, 0.01):
        test = small_test(
            statistic="linear", normalisation=normalisation, precision=precision, rank_tolerance=tolerance, penalty=1e-8
        )
        with pytest.raises(errors.NegativeWeightError, match=r"positive_weights, raise the penalty"):
            test.fit(x, w, N).statistic(mixture(rng, 100))
        test.fit(x, w, N, settings=mixture(rng, 60)).statistic(mixture(rng, 100))  # settings events have no weights


def test_a_total_that_is_not_positive_is_named() -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(errors.WeightError, match="positive"):
        small_test(statistic="linear").fit(mixture(rng, 100), np.where(np.arange(100) < 60, -1.0, 1.0), N)
