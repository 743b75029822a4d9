"""The tail of a quadratic form against closed forms, Imhof's integral and draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from tests.search.problems import Floats
from unseen.errors import ConfigError, ShapeError
from unseen.search.mixture import isf, log_tail, moments

DEPTHS = np.array([0.999, 0.9, 0.5, 0.1, 1e-3, 1e-10, 1e-40, 1e-80])


def imhof(x: float, w: Floats, d: Floats) -> float:
    """Return P(Q >= x) from equation 3.2 of Imhof (1961)."""

    def integrand(u: float) -> float:
        wu = w * u
        theta = 0.5 * (np.arctan(wu) + d**2 * wu / (1 + wu**2)).sum() - 0.5 * x * u
        log_rho = 0.25 * np.log1p(wu**2).sum() + 0.5 * (d**2 * wu**2 / (1 + wu**2)).sum()
        return float(np.sin(theta) / u * np.exp(-log_rho))

    value, _ = integrate.quad(integrand, 0, np.inf, limit=1000, epsabs=1e-11, epsrel=1e-11)
    return 0.5 + value / np.pi


def exponentials(x: Floats, w: Floats) -> Floats:
    """Return log P(Q >= x) where every weight of `w` (all different) occurs twice: a sum of exponentials."""
    factors = np.array([np.prod([a / (a - b) for b in w if b != a]) for a in w])
    decays = -x[:, None] / (2 * w)
    top = decays.max(axis=1)
    result: Floats = top + np.log((factors * np.exp(decays - top[:, None])).sum(axis=1))
    return result


@pytest.mark.parametrize("r", [1, 2, 3, 17, 300, 3000])
def test_equal_weights_are_a_chi_squared_at_any_depth(r: int) -> None:
    x = stats.chi2.isf(DEPTHS, r)
    np.testing.assert_allclose(log_tail(x, np.ones(r)), stats.chi2.logsf(x, r), rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        log_tail(7 * x, np.full(r, 7.0)), stats.gamma.logsf(x, r / 2, scale=2), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("r", [1, 2, 40])
def test_negative_weights_are_the_lower_tail(r: int) -> None:
    x = stats.chi2.ppf(DEPTHS, r)
    np.testing.assert_allclose(log_tail(-x, -np.ones(r)), stats.chi2.logcdf(x, r), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("r", "d"), [(1, 0.3), (1, 5.0), (4, 2.0), (100, 0.5)])
def test_shifts_make_it_noncentral(r: int, d: float) -> None:
    x = np.array([stats.ncx2.isf(p, r, r * d**2) for p in (0.999, 0.5, 1e-3, 1e-8)])
    expected = stats.ncx2.sf(x, r, r * d**2)
    np.testing.assert_allclose(np.exp(log_tail(x, np.ones(r), np.full(r, -d))), expected, rtol=1e-8)


def test_one_shifted_square_is_two_normal_tails_at_any_depth() -> None:
    d, root = 3.0, np.linspace(0.05, 25.0, 60)
    expected = np.logaddexp(stats.norm.logsf(root - d), stats.norm.logsf(root + d))
    np.testing.assert_allclose(log_tail(root**2, [1.0], [d]), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(log_tail(1e8, [1.0], [9.9e3]), stats.norm.logsf(100.0), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "w", [(1.0, 0.5), (3.0, 2.0, 1.0, 0.1), (1.0, 1e-3, 1e-6, 1e-12), (1.0, 0.99), tuple(0.5 ** np.arange(12))]
)
def test_pairs_of_weights_are_sums_of_exponentials(w: tuple[float, ...]) -> None:
    weights = np.array(w)
    x = 2 * weights.sum() + np.geomspace(0.01, 1500.0, 40)
    np.testing.assert_allclose(log_tail(x, np.repeat(weights, 2)), exponentials(x, weights), rtol=0, atol=1e-8)


@pytest.mark.parametrize("ratio", [1.0, 0.03, 1e-9])
def test_mixed_signs_are_a_difference_of_exponentials(ratio: float) -> None:
    x = np.array([0.0, 1e-9, 0.01, 1.0, 30.0, 400.0])
    w = [1.0, 1.0, -ratio, -ratio]
    np.testing.assert_allclose(log_tail(x, w), -np.log1p(ratio) - x / 2, rtol=0, atol=1e-8)
    below = np.log1p(-ratio / (1 + ratio) * np.exp(-x))
    np.testing.assert_allclose(log_tail(-2 * ratio * x, w), below, rtol=0, atol=1e-8)


@pytest.mark.parametrize("r", [10, 30, 3000])
@pytest.mark.parametrize("kind", ["positive", "mixed", "shifted", "spread"])
def test_random_forms_agree_with_imhof(r: int, kind: str) -> None:
    rng = np.random.default_rng(r)
    w = 10 ** rng.uniform(-12, 0, r) if kind == "spread" else rng.gamma(0.5, size=r)
    w[:8] = rng.uniform(0.3, 1.0, 8)  # Imhof's integrand falls only as u^(-1 - r / 2)
    if kind == "mixed":
        w *= rng.choice([-1.0, 1.0], r)
    d = rng.normal(size=r) if kind == "shifted" else np.zeros(r)
    mean, variance = moments(w, d)
    x = mean + np.sqrt(variance) * np.array([-0.3, 0.2, 1.0, 3.0])
    np.testing.assert_allclose(np.exp(log_tail(x, w, d)), [imhof(v, w, d) for v in x], rtol=0, atol=1e-9)


@pytest.mark.parametrize("signs", [1.0, -1.0])
def test_draws_fall_where_they_should(signs: float) -> None:
    rng = np.random.default_rng(5)
    n, w, d = 2_000_000, np.array([2.0, signs, 0.5, signs * 0.01]), np.array([0.0, 1.0, -0.5, 3.0])
    q = sum(a * (rng.normal(size=n) + b) ** 2 for a, b in zip(w, d, strict=True))
    x = np.quantile(q, [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
    counts = (q[:, None] >= x).sum(axis=0)
    p = np.exp(log_tail(x, w, d))
    assert (np.abs(counts - n * p) < 5 * np.sqrt(n * p * (1 - p)) + 1).all()
    mean, variance = moments(w, d)
    assert abs(q.mean() - mean) < 5 * np.sqrt(variance / n)
    assert q.var() == pytest.approx(variance, rel=0.01)


@pytest.mark.parametrize("r", [1, 2, 30])
@pytest.mark.parametrize("shift", [0.0, 1.5])
@pytest.mark.parametrize("mixed", [False, True])
def test_it_falls_with_x(r: int, shift: float, mixed: bool) -> None:
    rng = np.random.default_rng(r)
    w = rng.gamma(0.5, size=r) * (rng.choice([-1.0, 1.0], r) if mixed else 1.0)
    mean, variance = moments(w, np.full(r, shift))
    x = mean + np.sqrt(variance) * np.linspace(-8, 40, 500)
    log_p = log_tail(x, w, np.full(r, shift))
    assert (log_p <= 0).all()
    reached = log_p[:-1] > -np.inf
    falls = log_p[1:][reached] - log_p[:-1][reached]
    assert (falls <= 0).all()
    assert (falls[np.abs(log_p[:-1][reached]) > 1e-6] < 0).all()


def test_zero_weights_and_the_scale_do_not_matter() -> None:
    x, w, d = np.array([0.5, 3.0, 40.0]), np.array([1.0, 0.3, 0.2]), np.array([0.0, 1.0, 2.0])
    expected = log_tail(x, w, d)
    padded = log_tail(x, [0.0, *w, 0.0], [5.0, *d, 0.0])
    np.testing.assert_array_equal(padded, expected)
    for scale in (1e-250, 1e250):
        np.testing.assert_allclose(log_tail(x * scale, w * scale, d), expected, rtol=0, atol=1e-12)
    tiny = log_tail(x, [*w, *np.full(100, 1e-18), -1e-19], [*d, *np.zeros(101)])
    np.testing.assert_allclose(tiny, expected, rtol=0, atol=1e-9)


def test_where_q_cannot_be_the_answer_is_certain() -> None:
    np.testing.assert_array_equal(log_tail([-3.0, 0.0], [1.0, 2.0]), 0.0)
    np.testing.assert_array_equal(log_tail([0.0, 3.0], [-1.0, -2.0]), -np.inf)
    assert log_tail(1e-300, [1.0]) == pytest.approx(0.0, abs=1e-12)
    far = log_tail([1e12, 1e300], [1.0, 0.5])
    np.testing.assert_allclose(far, [-5e11, -5e299], rtol=1e-6)


def test_the_shape_is_that_of_x() -> None:
    assert log_tail(3.0, [1.0]).shape == ()
    assert log_tail([], [1.0]).shape == (0,)
    assert log_tail(np.ones((2, 3)), [1.0]).shape == (2, 3)


@pytest.mark.parametrize("p", [1 - 1e-9, 0.999, 0.6, 0.5, 0.05, 1e-12, 1e-100, 1e-300])
@pytest.mark.parametrize("w", [(1.0,), (3.0, 1.0, 1e-4), (1e200, -2e200), tuple(np.ones(400))])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_isf_inverts(p: float, w: tuple[float, ...], shift: float) -> None:
    d = np.full(len(w), shift)
    log_p = log_tail(isf(p, w, d), w, d)
    assert log_p == pytest.approx(np.log(p), abs=1e-8)


def test_isf_of_negative_weights_is_below_zero() -> None:
    assert isf(1e-6, [-2.0, -2.0]) == pytest.approx(4 * np.log1p(-1e-6), rel=1e-8)
    assert isf(0.9, [-1.0]) == pytest.approx(-stats.chi2.ppf(0.9, 1), rel=1e-8)


def test_faults_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        log_tail(1.0, np.ones((2, 2)))
    with pytest.raises(ShapeError, match="shifts"):
        log_tail(1.0, [1.0, 2.0], [0.0])
    with pytest.raises(ConfigError, match="all 2 weights are zero"):
        moments([0.0, 0.0])
    with pytest.raises(ConfigError, match="weights"):
        isf(0.1, [])
    with pytest.raises(ConfigError, match="weights have 1 NaN"):
        log_tail(1.0, [1.0, np.nan])
    with pytest.raises(ConfigError, match="shifts have 1 NaN"):
        log_tail(1.0, [1.0], [np.inf])
    with pytest.raises(ConfigError, match="x has 1 NaN"):
        log_tail([1.0, np.nan], [1.0])
    for p in (0.0, 1.0, -0.1, np.nan):
        with pytest.raises(ConfigError, match="0 < p < 1"):
            isf(p, [1.0])
