"""The analytic null of the linear statistic: the distribution of its toys, as deep as one likes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.problems import Floats
from unseen import errors
from unseen.search import KernelTest, Null, calibrate

N, N_REFERENCE, TOYS = 500.0, 2500, 1000
POOL = {"redrawn": 3000, "fixed": 25_000}  # data are 2 % of a fixed pool: its toys vary that much too little
NORMALISATIONS = ["known", "constrained(0.03)", "free"]


@pytest.fixture(autouse=True)
def short_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "CHECK_TOYS", 300)


def sample(rng: np.random.Generator, n: int, d: int) -> Floats:
    return rng.normal(size=(n, d))


def fitted(
    d: int, normalisation: str = "known", widths: object = 2.0, reference: str = "redrawn"
) -> tuple[KernelTest, Floats]:
    """Return a test with many events for each kernel, and a pool."""
    rng = np.random.default_rng([1, d])
    test = KernelTest(widths, 30, 1e-2, normalisation, statistic="linear")
    test.fit(sample(rng, N_REFERENCE, d), expected=N, settings=sample(rng, 60, d))
    return test, sample(rng, POOL[reference], d)


@pytest.mark.parametrize(
    ("d", "reference", "n_data"),
    [(1, "redrawn", None), (1, "fixed", None), (1, "redrawn", 530), (3, "redrawn", None), (3, "fixed", None)],
)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_linear_toys_follow_it(d: int, reference: str, n_data: int | None, normalisation: str) -> None:
    test, pool = fitted(d, normalisation, reference=reference)
    null = test.calibrate(pool, "asymptotic", reference=reference, n_data=n_data)
    toys = test.calibrate(pool, "linear", n_toys=TOYS, seed=2, reference=reference, n_data=n_data)
    assert (null.calibration, null.reference, null.n_data) == ("asymptotic", reference, n_data)
    assert (toys.calibration, toys.reference, toys.n_data) == ("linear", reference, n_data)
    t = toys.t[:, 0]
    p = np.exp(null.analytic[0].log_p(t))
    assert stats.kstest(p, stats.uniform(0, 1).cdf).pvalue > 1e-3
    mean, variance = null.analytic[0].moments
    assert abs(t.mean() - mean) < 4 * np.sqrt(variance / TOYS)
    kurtosis = stats.kurtosis(t)
    assert t.var() / variance == pytest.approx(1.0, abs=4 * np.sqrt((2 + kurtosis) / TOYS))
    assert "disagree" not in null.checks["analytic"]["why"]


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_p_of_fresh_data_is_uniform_without_any_toys(normalisation: str) -> None:
    """50 null data sets, each with a reference of its own and no pool at all."""
    rng, p = np.random.default_rng(3), []
    sigma = 0.03 if normalisation.startswith("constrained") else 0.0
    for _ in range(50):
        test = KernelTest(2.0, 20, 1e-2, normalisation, statistic="linear", rank_tolerance=0.0)
        # the expectation is itself a measurement: N_D is thrown around the true one
        test.fit(sample(rng, N_REFERENCE, 1), expected=N * np.exp(sigma * rng.normal()), settings=sample(rng, 40, 1))
        test.calibrate(None, "asymptotic")
        p.append(test.search(sample(rng, rng.poisson(N), 1)).p_value)
    assert stats.kstest(p, stats.uniform(0, 1).cdf).pvalue > 1e-3


def test_it_reaches_beyond_any_number_of_toys() -> None:
    test, pool = fitted(1)
    test.calibrate(pool, "asymptotic")
    rng = np.random.default_rng(4)
    p = [test.search(np.vstack([sample(rng, 500, 1), rng.normal(1.0, 0.2, (n, 1))])) for n in (0, 80, 160, 320)]
    values = [result.p_value for result in p]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1e-3
    assert values[-1] < 1e-12
    assert p[-1].z > 7.0
    assert not p[-1].at_resolution
    for result in p:
        assert result.p_interval[0] <= result.p_value <= result.p_interval[1]
        assert result.calibration == "asymptotic"
        assert result.p_value == pytest.approx(result.p_per_width[0])


def test_several_widths_are_combined_as_their_toys_are() -> None:
    """Ranks among Gaussian draws and among toys of the same statistic, for the same 10 data sets."""
    test, pool = fitted(1, widths=(1.0, 2.0, 4.0))
    rng, n = np.random.default_rng(5), 1000
    data = [sample(rng, rng.poisson(N), 1) for _ in range(10)]
    p = []
    for method in ("asymptotic", "linear"):
        null = test.calibrate(pool, method, n_toys=n)
        assert null.t.shape == (n, 3)
        p.append(np.array([test.search(x).p_value for x in data]))
    middle = (p[0] + p[1]) / 2
    assert (np.abs(p[0] - p[1]) < 4 * np.sqrt(2 * middle * (1 - middle) / n) + 2 / n).all()


def test_correlations_among_widths_are_those_of_toys() -> None:
    test, pool = fitted(3, "free", widths=(1.5, 2.0, 4.0))
    draws = test.calibrate(pool, "asymptotic", n_toys=4000).t
    toys = test.calibrate(pool, "linear", n_toys=2000).t
    between = [np.corrcoef(t.T)[np.triu_indices(3, 1)] for t in (draws, toys)]
    # the error of Fisher's arctanh is 1 / sqrt(n - 3) for normal variables; squares of them have about twice that
    error = 2 * np.sqrt(1 / 4000 + 1 / 2000)
    np.testing.assert_allclose(np.arctanh(between[0]), np.arctanh(between[1]), atol=4 * error)
    np.testing.assert_allclose(draws.mean(0), toys.mean(0), atol=4 * error * toys.std())


def test_an_excess_beyond_all_draws_is_bounded_by_its_smallest_p() -> None:
    test, pool = fitted(1, widths=(1.0, 2.0))
    test.calibrate(pool, "asymptotic", n_toys=1000)
    rng = np.random.default_rng(6)
    result = test.search(np.vstack([sample(rng, 500, 1), rng.normal(1.0, 0.1, (200, 1))]))
    assert result.at_resolution
    assert result.p_value == pytest.approx(2 * min(result.p_per_width))
    assert result.p_value < 1e-3


def method_of(null: Null) -> tuple[str, bool]:
    return null.calibration, bool(null.checks["analytic"]["passed"])


def test_auto_takes_the_analytic_null_where_it_holds_and_toys_where_it_does_not() -> None:
    test, pool = fitted(1)
    null = test.calibrate(pool, n_toys=500)
    assert method_of(null) == ("asymptotic", True)
    assert "analytic null agrees with" in null.reason
    rng = np.random.default_rng(7)
    narrow = KernelTest(0.02, 60, 1e-6, statistic="linear")
    narrow.fit(sample(rng, 2000, 1), expected=100, settings=sample(rng, 60, 1))
    null = narrow.calibrate(sample(rng, 2000, 1), n_toys=500)
    assert method_of(null)[0] == "linear"
    assert null.n_toys == 500
    assert "few events per kernel" in null.reason
    asked = narrow.calibrate(sample(rng, 2000, 1), "asymptotic")
    assert method_of(asked) == ("asymptotic", False)  # asked for: given, with its failed check
    data = sample(rng, 100, 1)
    assert not narrow.search(data).checks["cross_check"]["holds"]


def test_other_statistics_have_it_as_a_cross_check_only() -> None:
    test, pool = fitted(1)
    for statistic in ("converged", "one_step"):
        own = KernelTest(**(test.options | {"statistic": statistic}))
        rng = np.random.default_rng(8)
        own.fit(sample(rng, N_REFERENCE, 1), expected=N)
        for method in ("linear", "asymptotic"):
            with pytest.raises(errors.ConfigError, match=f"calibration '{method}' is the null of statistic='linear'"):
                own.calibrate(pool, method)
        null = own.calibrate(pool, n_toys=20)
        assert null.calibration == "toys"
        data = sample(rng, 500, 1)
        check = own.search(data).checks["cross_check"]
        linear = own.statistic(data, mode="linear").t
        np.testing.assert_allclose(check["t"], linear, rtol=1e-3)
        assert check["p_per_width"] == pytest.approx(np.exp(null.analytic[0].log_p(linear)), rel=1e-2)


def test_a_pool_is_needed_for_everything_else() -> None:
    test, _ = fitted(1)
    for method in ("linear", "permutation"):
        with pytest.raises(errors.ConfigError, match="needs a pool"):
            test.calibrate(None, method)
    assert "without a pool" in test.calibrate(None, "auto").reason
    null = test.calibrate(None, "asymptotic")
    assert null.checks["analytic"]["n_toys"] == 0
    assert null.n_pool == 0
