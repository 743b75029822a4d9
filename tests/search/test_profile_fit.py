"""The fit of (b, nu): closed forms, a general-purpose minimiser, batches, and where it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from tests.search.nuisances import SHIFT, STRETCH, both_delta, quantiles, shape_delta, shift_fit, yield_fit
from tests.search.problems import dense_pieces, mixture, small_test
from unseen.errors import ConvergenceError
from unseen.search import KernelTest, RatioCoefficients
from unseen.search.normalisation import Normalisation
from unseen.search.profile_fit import joint_factor
from unseen.search.profile_nuisances import Nuisances

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def stiff_test(**options: object) -> KernelTest:
    """Return a test whose penalty leaves no room for f."""
    return small_test(widths=1.0, penalty=1e9, **options)


@pytest.mark.parametrize("a", [0.0, 1.3])
def test_without_room_for_f_delta_is_the_analytic_profile_likelihood_ratio(a: float) -> None:
    rng = np.random.default_rng(1)
    data = rng.normal(0.12, 1.0, (900, 1))
    test = stiff_test().fit(quantiles(20_000), expected=1000, ratio=shape_delta, settings=rng.normal(size=(50, 1)))
    found = test.statistic(data, auxiliary=[a])
    nu, delta = shift_fit(data, a)
    assert found.profile is not None
    assert found.t[0] == pytest.approx(0.0, abs=1e-5)
    # The quantiles miss the Gaussian's tails: the sum over R of r - 1 is 3e-5 of N at one standard deviation.
    assert found.profile.delta[0] == pytest.approx(delta, abs=0.05)
    assert found.profile.nu_hat[0] == pytest.approx(nu, abs=2e-3)
    stiffness, redrawn = SHIFT**2 * 900 + 1, SHIFT**2 * 1000 * 1000 / 20_000  # the finite reference fluctuates too
    error = np.sqrt(1 / stiffness + redrawn / stiffness**2)
    assert found.profile.nu_error[0] == pytest.approx(error, rel=5e-3)


def test_shift_and_yield_separate_in_closed_form() -> None:
    rng = np.random.default_rng(2)
    data, settings = rng.normal(-0.1, 1.0, (1080, 1)), rng.normal(size=(50, 1))
    shift, rate = shift_fit(data, 0.4), yield_fit(len(data), 1000.0, STRETCH, -0.7)
    as_column = stiff_test().fit(quantiles(20_000), expected=1000, ratio=both_delta, settings=settings)
    as_option = stiff_test(normalisation=f"constrained({STRETCH})")
    as_option.fit(quantiles(20_000), expected=1000, ratio=shape_delta, settings=settings)
    for test in (as_column, as_option):
        found = test.statistic(data, auxiliary=[0.4, -0.7]).profile
        assert found is not None
        np.testing.assert_allclose(found.nu_hat, [shift[0], rate[0]], atol=3e-3)
        assert found.delta[0] == pytest.approx(shift[1] + rate[1], abs=0.05)
    free = stiff_test(normalisation="free").fit(quantiles(20_000), expected=1000, ratio=shape_delta, settings=settings)
    found = free.statistic(data).profile
    assert found is not None
    assert found.names == ("shift", "yield")
    assert found.nu_hat[1] == pytest.approx(np.log(1.08), abs=1e-3)
    assert found.pull[1] is None


def dense_t(test: KernelTest, data: Floats, psi_r: Floats, psi_d: Floats, nuisances: Nuisances, a: Floats) -> float:
    """Return t by a general-purpose minimiser over all M coefficients and nu, from the definitions."""
    k_r, k_d, k_mm, w, n_lam = dense_pieces(test, data, 0)
    m, precision = len(k_mm), nuisances.precision

    def loss(theta: Floats) -> tuple[float, Floats]:
        coefficients, nu = theta[: -nuisances.size], theta[-nuisances.size :]
        at = torch.from_numpy(nu[None])
        mono, jac = nuisances.monomials(at)[0].numpy(), nuisances.jacobian(at)[0].numpy()
        f_r = k_r[:, : len(coefficients)] @ coefficients + psi_r @ mono
        f_d = k_d[:, : len(coefficients)] @ coefficients + psi_d @ mono
        rate, pull = w * np.exp(f_r), precision * (nu - a)
        kk = k_mm[: len(coefficients), : len(coefficients)] @ coefficients
        value = (w * np.expm1(f_r)).sum() - f_d.sum() + n_lam * coefficients @ kk + pull @ (nu - a) / 2
        g = (rate @ k_r - k_d.sum(0))[: len(coefficients)] + 2 * n_lam * kk
        return float(value), np.append(g, (rate @ psi_r - psi_d.sum(0)) @ jac + pull)

    options = {"gtol": 1e-9, "maxiter": 5000}
    null = optimize.minimize(loss, a.copy(), jac=True, method="BFGS", options=options)
    start = np.append(np.zeros(m), null.x)
    hessian_free = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 20_000, "ftol": 0})
    full = optimize.minimize(loss, hessian_free.x, jac=True, method="BFGS", options=options)
    return float(2 * (null.fun - full.fun))


def test_the_fit_equals_a_general_purpose_minimiser_in_all_coefficients() -> None:
    rng = np.random.default_rng(3)
    reference, data, settings = mixture(rng, 1500), mixture(rng, 170), mixture(rng, 12)

    def delta(x: Floats) -> tuple[Floats, Floats]:
        quadratic = np.zeros((len(x), 2, 2))
        quadratic[:, 0, 0], quadratic[:, 0, 1] = -0.02 * x[:, 1] ** 2, 0.03 * x[:, 0]
        return 0.2 * x, quadratic

    test = small_test(widths=1.2, n_centers=12, penalty=1e-3, normalisation="constrained(0.1)")
    test.fit(reference, expected=150, ratio=delta, settings=settings)
    a = np.array([0.5, -0.3, 0.2])
    found = test.statistic(data, auxiliary=a)
    fitted = test._fitted
    assert fitted is not None
    assert fitted.nuisances is not None
    assert fitted.beside is not None
    assert found.beside is not None
    expected = dense_t(test, data, fitted.beside, found.beside, fitted.nuisances, a)
    assert found.profile is not None
    difference = found.profile.tau[0] - found.profile.delta[0]
    assert difference == pytest.approx(expected, abs=1e-6 * max(1.0, expected))
    assert found.t[0] == pytest.approx(expected * found.profile.factor[0])


def test_toys_fitted_together_equal_data_fitted_alone() -> None:
    rng = np.random.default_rng(4)
    reference, pool = rng.normal(size=(1500, 1)), rng.normal(size=(3000, 1))
    test = small_test(widths=(0.7, 1.5), penalty=1e-4, normalisation="constrained(0.05)")
    test.fit(reference, expected=200, ratio=shape_delta)
    null = test.calibrate(pool, n_toys=12, reference="fixed", seed=3)
    simulation = test.pseudo_data(pool, {}, reference="fixed").simulation
    plan = simulation.plan(12, 3, None)
    n = plan.n_reference
    for toy in (0, 7, 11):
        data = pool[plan.rows(toy)[1] - n]
        alone = test.statistic(data, auxiliary=plan.auxiliary[toy])
        np.testing.assert_allclose(null.t[toy], alone.t, atol=2e-5)  # toys stop at a decrement of 1e-3


def test_single_precision_moves_t_by_a_thousandth_of_its_spread() -> None:
    rng = np.random.default_rng(5)
    reference, pool = rng.normal(size=(3000, 2)), rng.normal(size=(4000, 2))
    t = []
    for precision in ("mixed", "float64"):
        test = KernelTest(widths=1.5, n_centers=40, penalty=1e-5, precision=precision)
        test.fit(reference, expected=400, ratio=shape_delta)
        t.append(test.calibrate(pool, n_toys=64).t[:, 0])
    assert np.abs(t[0] - t[1]).max() < 1e-3 * t[1].std()


def test_a_nuisance_without_effect_is_told_apart_from_no_nuisance() -> None:
    rng = np.random.default_rng(6)
    data = rng.normal(size=(210, 1))
    test = small_test(widths=1.0, penalty=1e-4)
    test.fit(rng.normal(size=(1500, 1)), expected=200, ratio=lambda x: np.zeros((len(x), 1)))
    found = test.statistic(data, auxiliary=[0.8]).profile
    assert found is not None
    assert found.nu_hat == pytest.approx((0.8,))
    assert found.nu_error == pytest.approx((1.0,))
    assert found.pull == (None,)


def test_pulls_are_unit_gaussians() -> None:
    rng = np.random.default_rng(7)
    test = stiff_test().fit(rng.normal(size=(20_000, 1)), expected=100, ratio=both_delta)
    pulls = []
    for _ in range(60):
        nu = rng.normal(size=2)
        data = rng.normal(SHIFT * nu[0], 1.0, (max(1, rng.poisson(100 * np.exp(STRETCH * nu[1]))), 1))
        found = test.statistic(data, auxiliary=nu + rng.normal(size=2)).profile
        assert found is not None
        pulls.append(found.pull)
    widths = np.std(np.array(pulls, dtype=np.float64), axis=0)
    low, high = (np.sqrt(stats.chi2.ppf(p, 59) / 59) for p in (1e-3, 1 - 1e-3))
    assert (low < widths).all()
    assert (widths < high).all()


def test_a_likelihood_without_a_minimum_is_refused() -> None:
    rng = np.random.default_rng(8)
    test = small_test(widths=1.0, penalty=1e-3)
    reference = rng.normal(size=(1000, 1))
    upward = (np.zeros((1000, 1)), np.full((1000, 1, 1), -3.0))  # the rate falls with nu^2: more data push outwards
    test.fit(reference, expected=50, ratio=upward, settings=rng.normal(size=(40, 1)))
    data = rng.normal(size=(20, 1))
    with pytest.raises(ConvergenceError):
        test.statistic(data, ratio=(np.zeros((20, 1)), np.full((20, 1, 1), 3.0)))


def test_columns_and_monomials_are_the_polynomial() -> None:
    rng = np.random.default_rng(9)
    ratio = RatioCoefficients(rng.normal(size=(6, 3)), rng.normal(size=(6, 3, 3)))
    nuisances = Nuisances.of(ratio, Normalisation(0.2))
    nu = rng.normal(size=(2, 4))
    at = torch.from_numpy(nu)
    psi = nuisances.columns("x", ratio)
    for i in range(2):
        expected = ratio.log_ratio(nu[i, :3]) + 0.2 * nu[i, 3]
        np.testing.assert_allclose(psi @ nuisances.monomials(at)[i].numpy(), expected)
    step = 1e-6 * torch.eye(4, dtype=torch.float64)
    for j in range(4):
        slope = (nuisances.monomials(at + step[j]) - nuisances.monomials(at - step[j])) / 2e-6
        np.testing.assert_allclose(nuisances.jacobian(at)[:, :, j], slope, atol=1e-8)
    g = torch.from_numpy(rng.normal(size=(2, nuisances.n_columns)))
    for j in range(4):
        slope = (nuisances.jacobian(at + step[j]) - nuisances.jacobian(at - step[j])) / 2e-6
        np.testing.assert_allclose(nuisances.curvature(g)[:, :, j], torch.einsum("tp,tpk->tk", g, slope), atol=1e-7)


def test_parameters_that_do_the_same_within_rounding_have_a_factor() -> None:
    """Two equal columns of psi in float32: their moments differ by 1e-8 of themselves, one way or the other."""
    moment = torch.tensor([[2.0, 0.5, 0.5], [0.5, 1.0, 1.0], [0.5, 1.0, 1.0 - 1e-8]], dtype=torch.float64)
    factor = joint_factor(moment, 1e-3, 2)
    expected = moment + torch.diag(torch.tensor([1e-3, 1e-7, 1e-7], dtype=torch.float64))
    torch.testing.assert_close(factor @ factor.T, expected, rtol=0.0, atol=1e-8)
