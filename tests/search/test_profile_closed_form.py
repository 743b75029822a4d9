"""The Gaussian example against its closed form: t of single data sets, its distribution at any true nu, and power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.gaussian_profile import Bump, weights_and_shifts
from tests.search.nuisances import STRETCH, both_delta, quantiles, shape_delta, yield_fit
from tests.search.problems import small_test
from unseen.search import KernelTest
from unseen.search.mixture import isf, log_tail
from unseen.search.pseudo import PseudoData

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
N, N_REFERENCE, TOYS = 3000, 12_000, 300
WIDTH, PENALTY = 1.5, 1e-5
CENTERS = np.array([[-1.5], [-0.5], [0.5], [1.5]])
BUMP = Bump(100, 1.5, 0.6)
RNG = np.random.default_rng(31)
SMALLEST = 1e-3  # p of a Kolmogorov test, fixed beforehand
ALPHA = 0.05


@pytest.mark.parametrize("n_data", [850, 1000, 1130])
@pytest.mark.parametrize("a", [0.0, -1.2])
def test_a_constant_f_is_a_counting_experiment(n_data: int, a: float) -> None:
    """One kernel far wider than the data: f is a free yield. t = 2 [N_D log(N_D/N) - N_D + N] if nu is a shift alone.

    An uncertain yield beside it is left at its auxiliary measurement by tau's fit, and Delta's is one equation.
    """
    data, expected = RNG.normal(size=(n_data, 1)), 1000.0
    counting = 2.0 * (n_data * np.log(n_data / expected) - n_data + expected)
    found = []
    for ratio in (shape_delta, both_delta):
        test = small_test(widths=1e4, penalty=1e-12, standardise=False)
        test.fit(quantiles(20_000), expected=expected, ratio=ratio, settings=np.zeros((1, 1)))
        auxiliary = [0.3] if ratio is shape_delta else [0.3, a]
        found.append(test.statistic(data, auxiliary=auxiliary).t[0])
    # The quantiles miss the Gaussian's tails, which couples shift and yield a little.
    assert found[0] == pytest.approx(counting, abs=1e-3)
    assert found[1] == pytest.approx(counting + a**2 - yield_fit(n_data, expected, STRETCH, a)[1], abs=1e-3)


def test_the_closed_form_of_a_constant_f_is_one_unit_chi_squared() -> None:
    w, d = weights_and_shifts(np.zeros((1, 1)), 1e4, N, 10**9, 1e-16)
    np.testing.assert_allclose(w, [1.0], rtol=1e-4)
    assert d == pytest.approx(0.0)


@pytest.fixture(scope="module")
def gaussian() -> KernelTest:
    test = small_test(widths=WIDTH, penalty=PENALTY, standardise=False)
    return test.fit(RNG.normal(size=(N_REFERENCE, 1)), expected=N, ratio=shape_delta, settings=CENTERS)


@pytest.fixture(scope="module")
def pool() -> Floats:
    return RNG.normal(size=(20 * N, 1))


@pytest.fixture(scope="module")
def toys(gaussian: KernelTest, pool: Floats) -> PseudoData:
    return gaussian.pseudo_data(pool, {"bump": BUMP.sample(RNG, 2000)})


def test_the_analytic_null_of_the_package_is_the_closed_form(gaussian: KernelTest, pool: Floats) -> None:
    null = gaussian.calibrate(pool, "asymptotic", n_toys=100)
    w, _ = weights_and_shifts(CENTERS, WIDTH, N, N_REFERENCE, PENALTY)
    # Fluctuations of the reference's and the pool's moments: a per cent, and more for the smallest.
    np.testing.assert_allclose(np.sort(null.analytic[0].weights)[-3:], w[-3:], rtol=0.04)
    assert null.analytic[0].weights.sum() == pytest.approx(w.sum(), rel=0.04)


@pytest.mark.parametrize("nu", [None, -2.0, 2.0])
def test_t_of_toys_is_distributed_as_in_closed_form_at_any_true_nu(toys: PseudoData, nu: float | None) -> None:
    t = toys.statistics(0, TOYS, 3, nu=None if nu is None else (nu,))
    p = np.exp(log_tail(t, *weights_and_shifts(CENTERS, WIDTH, N, N_REFERENCE, PENALTY)))
    assert stats.kstest(p, "uniform").pvalue > SMALLEST


def test_t_and_power_with_a_signal_are_those_of_the_closed_form(toys: PseudoData) -> None:
    t = toys.statistics(0, TOYS, 5, "bump", BUMP.events)
    null = weights_and_shifts(CENTERS, WIDTH, N, N_REFERENCE, PENALTY)
    with_signal = weights_and_shifts(CENTERS, WIDTH, N, N_REFERENCE, PENALTY, BUMP)
    assert stats.kstest(np.exp(log_tail(t, *with_signal)), "uniform").pvalue > SMALLEST
    threshold = float(isf(ALPHA, *null))
    power = float(np.exp(log_tail(threshold, *with_signal)))
    assert 0.2 < power < 0.95  # neither nothing nor everything is found
    assert stats.binomtest(int((t > threshold).sum()), TOYS, power).pvalue > SMALLEST
