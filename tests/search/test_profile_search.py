"""The profiled search: a null that does not know the true nu, power that is kept, and the interface around it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.search.nuisances import SHIFT, both_delta, shape_delta
from tests.search.problems import small_test
from unseen import errors
from unseen.search import KernelTest, RatioCoefficients, SearchResult
from unseen.search.profile_trust import Trust
from unseen.workers import workers

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
N, TOYS = 1000, 300
RNG = np.random.default_rng(11)
REFERENCE, POOL, SETTINGS, SIGNAL = (RNG.normal(size=(n, 1)) for n in (5000, 30_000, 60, 2000))
SIGNAL = 2.4 + 0.15 * SIGNAL
# Two samples of n toys from one distribution have a Kolmogorov distance beyond 1.95 sqrt(2 / n) once in a thousand.
KS_BOUND = 1.95 * np.sqrt(2 / TOYS)
# A rate of 0.05 among n toys, judged by a quantile of as many others, is off by three deviations once in 400 times.
RATE_ERROR = 3 * np.sqrt(2 * 0.05 * 0.95 / TOYS)


def gaussian_test(ratio: Any = shape_delta, **options: Any) -> KernelTest:
    test = KernelTest(**({"widths": 1.0, "n_centers": 60, "penalty": 1e-4} | options))
    return test.fit(REFERENCE, expected=N, ratio=ratio, settings=SETTINGS)


@cache
def null_at(nu: float | None) -> Floats:
    """Return t of null toys at one true nu, None for thrown ones."""
    return gaussian_test().calibrate(POOL, n_toys=TOYS, seed=2, nu=None if nu is None else [nu]).t[:, 0]


@pytest.mark.parametrize("nu", [-2.0, 0.0, 2.0])
def test_the_null_is_the_same_at_every_true_nu(nu: float) -> None:
    thrown = null_at(None)
    assert stats.ks_2samp(thrown, null_at(nu)).statistic < KS_BOUND
    assert abs(np.mean(null_at(nu) > np.quantile(thrown, 0.95)) - 0.05) < RATE_ERROR


@pytest.mark.parametrize("nu", [-2.0, 2.0])
def test_ignoring_nu_finds_the_detector(nu: float) -> None:
    test = gaussian_test(ratio=None)
    threshold = np.quantile(test.calibrate(POOL, n_toys=100).t[:, 0], 0.95)
    shifted = [test.statistic(RNG.normal(SHIFT * nu, 1.0, (RNG.poisson(N), 1))).t[0] for _ in range(30)]
    assert np.mean(np.array(shifted) > threshold) > 0.5


def test_several_nuisances_and_an_uncertain_yield_keep_the_null() -> None:
    test = gaussian_test(both_delta, normalisation="constrained(0.05)")
    samples = [test.calibrate(POOL, n_toys=150, seed=4 + i, nu=nu).t[:, 0] for i, nu in enumerate([None, [2, -2, 1]])]
    assert stats.ks_2samp(*samples).statistic < 1.95 * np.sqrt(2 / 150)


def test_a_signal_that_no_nuisance_explains_is_found() -> None:
    """40 events at 2.4 standard deviations, where 36 are expected within 0.3: local significance about six."""
    power = []
    for ratio in (shape_delta, None):
        pseudo = gaussian_test(ratio).pseudo_data(POOL, {"bump": SIGNAL})
        null, found = pseudo.statistics(0, 200, 5), pseudo.statistics(0, 60, 6, "bump", 40)
        power.append(np.mean(found > np.quantile(null, 0.95)))
    assert power[1] > 0.8  # nu known
    assert power[0] > power[1] - 0.15


def test_the_result_says_what_was_profiled(tmp_path: Path) -> None:
    test = gaussian_test(both_delta, widths=(0.7, 1.5), normalisation="constrained(0.02)")
    null = test.calibrate(POOL, n_toys=40)
    data = RNG.normal(SHIFT, 1.0, (N, 1))
    result = test.search(data, auxiliary=[1.0, 0.0])
    assert result.nu_hat is not None
    assert result.nu_error is not None
    assert result.tau is not None
    assert result.delta is not None
    difference = np.array(result.tau) - np.array(result.delta)
    np.testing.assert_allclose(difference * result.checks["nuisances"]["factor"], result.t, atol=1e-9)
    said = result.checks["nuisances"]
    assert said["names"] == ["shift", "rate", "yield"]
    assert said["toys"] == "thrown from their priors"
    assert len(said["pull"]) == len(result.nu_hat) == len(result.nu_error) == 3
    assert abs(result.nu_hat[0] - 1.0) < 4 * result.nu_error[0]
    assert null.calibration == result.calibration == "toys"
    assert SearchResult.from_json(result.to_json()) == result
    test.save(tmp_path / "test.npz")
    loaded = KernelTest.load(tmp_path / "test.npz")
    again = loaded.search(data, ratio=both_delta(data), auxiliary=[1.0, 0.0])
    assert again.to_json() == result.to_json()
    np.testing.assert_array_equal(loaded.score(data[:5]), test.score(data[:5]))
    error = test.score_error(data[:5])
    assert (error > 0).all()
    np.testing.assert_allclose(loaded.score_error(data[:5]), error)
    assert test.region().side in ("excess", "deficit")
    np.testing.assert_allclose(test.scorer()(data[:5]), test.score(data[:5]), atol=1e-4)


def test_rows_and_a_function_are_the_same_ratio() -> None:
    data, p_values = RNG.normal(size=(950, 1)), []
    for ratio in (shape_delta, shape_delta(REFERENCE)):
        test = KernelTest(widths=1.0, n_centers=60, penalty=1e-4).fit(REFERENCE, expected=N, ratio=ratio)
        test.calibrate(POOL, n_toys=20, ratio=shape_delta(POOL))
        p_values.append(test.search(data, ratio=shape_delta(data)).p_value)
    assert p_values[0] == p_values[1]


def test_workers_throw_the_same_toys() -> None:
    alone = gaussian_test().calibrate(POOL, n_toys=150)
    with workers(None, 2, threads=True) as two:
        together = gaussian_test().calibrate(POOL, n_toys=150, runner=two)
    np.testing.assert_array_equal(alone.t, together.t)


def test_the_analytic_null_is_taken_where_its_check_passes_and_else_refused() -> None:
    soft = gaussian_test(widths=3.0, penalty=1e-2)
    null = soft.calibrate(POOL, "asymptotic", n_toys=200)
    assert null.checks["analytic"]["passed"]
    assert soft.search(RNG.normal(0.1, 1.0, (990, 1)), auxiliary=[1.0]).calibration == "asymptotic"
    with pytest.raises(errors.CalibrationError, match="few events per kernel"):
        gaussian_test(widths=0.3).calibrate(POOL, "asymptotic", n_toys=20)
    with pytest.raises(errors.ConfigError, match="one width"):
        gaussian_test(widths=(1.0, 2.0)).calibrate(POOL, "asymptotic")
    with pytest.raises(errors.ConfigError, match="method='toys'"):
        soft.calibrate(POOL, "permutation")
    with pytest.raises(errors.ConfigError, match="method='toys'"):
        soft.calibrate(POOL, "linear")
    with pytest.raises(errors.ConfigError, match="needs a pool"):
        soft.calibrate(None, "asymptotic")


def quadratic(n: int) -> tuple[Floats, Floats]:
    return np.zeros((n, 1)), np.zeros((n, 1, 1))


@pytest.mark.parametrize(
    ("ratio", "error", "words"),
    [
        (np.zeros((4999, 1)), errors.ShapeError, "4999 rows"),
        (np.zeros((5000, 1, 1)), errors.ShapeError, "linear"),
        (np.zeros((5000, 0)), errors.ShapeError, "linear"),
        ((np.zeros((5000, 2)), np.zeros((5000, 2))), errors.ShapeError, "quadratic"),
        ((np.zeros(5000),), errors.ShapeError, "tuple of 1"),
        ([["a"]] * 5000, errors.ShapeError, "numbers"),
        (np.full((5000, 1), np.nan), errors.NonFiniteError, "5000 values"),
        (np.full((5000, 1), 1e300), errors.NonFiniteError, "finite"),
        (RatioCoefficients(np.zeros((5000, 1)), names=("yield",)), errors.ConfigError, "rename"),
    ],
)
def test_bad_ratios_are_named(ratio: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        small_test(normalisation="constrained(0.1)").fit(REFERENCE, expected=N, ratio=ratio, settings=SETTINGS)


def test_names_are_as_many_and_different() -> None:
    for names in (("a",), ("a", "a")):
        with pytest.raises(errors.ConfigError, match="2 different"):
            RatioCoefficients(np.zeros((5, 2)), names=names)
    with pytest.raises(errors.ShapeError, match="2 values"):
        RatioCoefficients(np.zeros((5, 1))).log_ratio([1.0, 2.0])


def test_a_measurement_may_lie_where_the_ratio_was_not_fitted_as_toys_do() -> None:
    """Toys throw theirs anywhere; what is told is where nu is fitted. The data, at nu = 0, hold it well inside."""
    fitted = replace(shape_delta(REFERENCE), trust=Trust.checked([[-3.0, 3.0]]))
    data = np.random.default_rng(5).normal(size=(N, 1))
    found = gaussian_test(fitted).statistic(data, ratio=shape_delta(data), auxiliary=[3.5]).profile
    assert found is not None
    assert found.auxiliary == (3.5,)
    assert 0.0 < found.nu_hat[0] < 3.0  # 10 units of information in the data, 1 in the measurement: near 0.3


def test_ratios_that_do_not_belong_together_are_named() -> None:
    test = gaussian_test(np.zeros((5000, 1)))
    data = RNG.normal(size=(100, 1))
    with pytest.raises(errors.ConfigError, match="the data came without"):
        test.statistic(data)
    with pytest.raises(errors.ConfigError, match="the pool came without"):
        test.calibrate(POOL)
    with pytest.raises(errors.ShapeError, match="99 rows"):
        test.statistic(data, ratio=np.zeros(99))
    with pytest.raises(errors.ConfigError, match="parameters"):
        test.statistic(data, ratio=np.zeros((100, 2)))
    with pytest.raises(errors.ConfigError, match="has quadratic"):
        test.statistic(data, ratio=quadratic(100))
    with pytest.raises(errors.ConfigError, match="no quadratic"):
        gaussian_test(quadratic(5000)).statistic(data, ratio=np.zeros(100))
    with pytest.raises(errors.ShapeError, match="auxiliary"):
        test.statistic(data, ratio=np.zeros(100), auxiliary=[0.0, 1.0])
    with pytest.raises(errors.NonFiniteError, match="auxiliary"):
        test.statistic(data, ratio=np.zeros(100), auxiliary=[np.nan])
    with pytest.raises(errors.ConfigError, match="converged"):
        test.statistic(data, "linear", ratio=np.zeros(100))
    with pytest.raises(errors.ShapeError, match="nu has 2"):
        test.calibrate(POOL, ratio=np.zeros(len(POOL)), nu=[0.0, 0.0])
    with pytest.raises(errors.NonFiniteError, match="nu is"):
        test.calibrate(POOL, ratio=np.zeros(len(POOL)), nu=[np.inf])
    plain = gaussian_test(None)
    with pytest.raises(errors.ConfigError, match="fitted without one"):
        plain.statistic(data, ratio=np.zeros(100))
    with pytest.raises(errors.ConfigError, match="auxiliary"):
        plain.statistic(data, auxiliary=[0.0])
    with pytest.raises(errors.ConfigError, match="no nuisance parameters"):
        plain.calibrate(POOL, nu=[0.0])
    with pytest.raises(errors.ConfigError, match="signal 'bump' came without"):
        test.pseudo_data(POOL, {"bump": SIGNAL}, ratio=np.zeros(len(POOL)))
    with pytest.raises(errors.ConfigError, match="'linear'"):
        gaussian_test(statistic="linear")


def test_a_free_yield_beside_a_parameter_that_does_the_same_is_no_error() -> None:
    """Columns of psi that are alike, and others that are zero: the data tell nothing of one but that it is free."""

    def delta(x: Floats) -> tuple[Floats, Floats]:
        quadratic = np.zeros((len(x), 2, 2))
        quadratic[:, 0, 0] = -(SHIFT**2) / 2
        return np.column_stack([SHIFT * x[:, 0], np.full(len(x), 0.0953)]), quadratic

    test = gaussian_test(delta, normalisation="free", widths=(0.5, 1.0, 2.0))
    test.calibrate(POOL, n_toys=20, seed=3, n_data=N)
    result = test.search(RNG.normal(size=(N, 1)))
    assert result.nu_hat is not None
    assert result.nu_hat[1] == pytest.approx(0.0, abs=1e-3)  # what the free yield explains is left to it
