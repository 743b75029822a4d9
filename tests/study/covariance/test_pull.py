from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from tests.study.covariance.gaussian import SHIFT, STRETCH, at, delta, nominal, wrong_delta
from unseen.errors import OverlapError
from unseen.search.normalisation import Normalisation
from unseen.search.profile_nuisances import Nuisances
from unseen.study.covariance import PullPoint, pulls
from unseen.study.covariance.nu_fit import fit_nu

EVENTS, N = 400.0, 40_000  # 100 samples' worth


def check(point: PullPoint) -> None:
    for bias, error, width, spread, inside, off in zip(
        point.bias, point.bias_error, point.width, point.width_error, point.coverage, point.coverage_error, strict=True
    ):
        assert abs(bias) < 4 * error
        assert abs(width - 1.0) < 4 * spread + 0.02
        assert abs(inside - 0.683) < 4 * off + 0.01


@pytest.mark.parametrize("nu", [(0.0, 0.0), (2.0, -1.0)])
def test_pulls_of_a_right_ratio_are_standard_normal(nu: tuple[float, float]) -> None:
    point = pulls(nominal(N, 1), delta, at(nominal(N, 2), *nu), n_events=EVENTS, n_samples=500)
    check(point)
    assert point.names == ("shift", "rate")
    assert point.enough
    # The mean of n events of N(0, 1) and one auxiliary measurement.
    assert point.error[0] == pytest.approx(1.0 / np.sqrt(1.0 + SHIFT**2 * EVENTS * np.exp(STRETCH * nu[1])), rel=0.05)


def test_paired_pools_resolve_smaller_biases() -> None:
    x = nominal(N, 3)
    paired = pulls(x, delta, at(x, 1.0, 1.0), paired=True, n_events=EVENTS, n_samples=500)
    apart = pulls(nominal(N, 4), delta, at(x, 1.0, 1.0), n_events=EVENTS, n_samples=500)
    check(paired)
    assert paired.bias_error[0] < 0.6 * apart.bias_error[0]


def test_a_wrong_ratio_is_biased() -> None:
    x = nominal(N, 5)
    point = pulls(x, wrong_delta, at(x, 2.0, 0.0), paired=True, n_events=EVENTS, n_samples=300)
    assert point.bias[0] > 0.5
    with pytest.raises(OverlapError):
        pulls(x, delta, at(x, 0.0, 0.0), n_events=EVENTS, n_samples=10)


def test_fits_are_those_of_a_general_minimiser() -> None:
    rng = np.random.default_rng(6)
    z, data, a = nominal(500, 6), rng.normal(0.3, 1.0, size=(80, 1)), np.array([[0.5, -0.5]])
    nuisances = Nuisances.of(delta(z), Normalisation(0.0))
    psi, sums = nuisances.columns("z", delta(z)), nuisances.columns("data", delta(data)).sum(axis=0)[None]
    shares = np.full(len(z), 1.0 / len(z))

    def minus_log_likelihood(nu: np.ndarray) -> float:
        expected = 70.0 * float(shares @ np.exp(delta(z).log_ratio(nu)))
        return expected - float(delta(data).log_ratio(nu).sum()) + 0.5 * float(np.square(nu - a[0]).sum())

    best = optimize.minimize(minus_log_likelihood, a[0], tol=1e-10)
    found = fit_nu(nuisances, psi, shares, 70.0, sums, a)
    assert found.nu[0] == pytest.approx(best.x, abs=2e-3)
    step = 1e-3 * np.eye(2)
    here = found.nu[0]
    curvature = [
        [(f(here + i + j) - f(here + i - j) - f(here - i + j) + f(here - i - j)) / 4e-6 for j in step]
        for f in (minus_log_likelihood,)
        for i in step
    ]
    assert found.error[0] == pytest.approx(np.sqrt(np.diag(np.linalg.inv(curvature))), rel=1e-3)
