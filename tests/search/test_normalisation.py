"""A yield known to a fraction: between known and free, and the likelihood ratio that its definition says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.problems import Floats, dense_converged, mixture, small_test, yield_shift
from unseen.errors import ConfigError, UnknownNameError
from unseen.search import KernelTest
from unseen.search.normalisation import Normalisation

N = 2000.0


def tensor(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


@pytest.mark.parametrize("text", ["constrained(0.05)", "constrained( 0.05 )", "constrained(5e-2)"])
def test_options_are_read(text: str) -> None:
    option = Normalisation.parse(text)
    assert option.sigma == 0.05
    assert option.intercept
    assert not option.free
    assert not Normalisation.parse("known").intercept
    assert Normalisation.parse("free").free


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("constrained", UnknownNameError),
        ("constrained()", ConfigError),
        ("constrained(five)", ConfigError),
        ("constrained(0)", ConfigError),
        ("constrained(-0.1)", ConfigError),
        ("constrained(inf)", ConfigError),
        ("constrained(1.5)", ConfigError),
        ("fixed", UnknownNameError),
        ("", UnknownNameError),
        (None, UnknownNameError),
        (0.05, UnknownNameError),
    ],
)
def test_what_is_no_option_is_named(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Normalisation.parse(text)


@given(
    n_data=st.integers(1, 10**7),
    expected=st.floats(0.1, 1e7),
    sigma=st.floats(1e-6, 1.0),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_shift_solves_the_equation_of_the_yield(n_data: int, expected: float, sigma: float) -> None:
    c = float(Normalisation(sigma).shift(tensor(n_data), tensor(expected)))
    residual = n_data - expected * np.exp(c) - c / sigma**2
    assert abs(residual) <= 1e-9 * (n_data + expected + abs(c) / sigma**2)
    assert abs(c) <= abs(np.log(n_data / expected)) * (1 + 1e-12)  # a constraint pulls towards no shift


def test_shifts_at_the_ends() -> None:
    assert float(Normalisation.parse("known").shift(tensor(90), tensor(60.0))) == 0.0
    assert float(Normalisation.parse("free").shift(tensor(90), tensor(60.0))) == pytest.approx(np.log(1.5))
    assert yield_shift("constrained(0.1)", 90, 60.0)[0] == pytest.approx(
        float(Normalisation(0.1).shift(tensor(90), tensor(60.0))), rel=1e-12
    )


@pytest.mark.parametrize("sigma", [0.01, 0.2, 1.0])
@pytest.mark.parametrize("n_data", [60, 100, 170])
def test_constrained_is_the_dense_minimum_whatever_the_yield(sigma: float, n_data: int) -> None:
    rng = np.random.default_rng(1)
    test = small_test(normalisation=f"constrained({sigma})", widths=(0.2, 0.6))
    test.fit(mixture(rng, 900), weights=rng.uniform(0.5, 1.5, 900), expected=100)
    data = np.vstack([mixture(rng, n_data - 10), rng.normal([2.5, -2.0], 0.1, (10, 2))])
    t = test.statistic(data).t
    for width in range(2):
        assert t[width] == pytest.approx(dense_converged(test, data, width), abs=1e-5)


def samples(n_data: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(2)
    signal = rng.normal([2.5, -2.0], 0.15, (40, 2))
    return mixture(rng, 5000), mixture(rng, 100), np.vstack([mixture(rng, n_data - 40), signal])


def fitted(normalisation: str, **options: object) -> tuple[KernelTest, Floats]:
    reference, apart, data = samples(2100)
    test = small_test(normalisation=normalisation, widths=(0.3, 2.0), **options)
    return test.fit(reference, expected=N, settings=apart), data


@pytest.mark.parametrize("mode", ["converged", "one_step", "linear"])
def test_a_tiny_uncertainty_is_a_known_yield(mode: str) -> None:
    """To first order in sigma^2 the likelihood gains (sigma dlogL/dc)^2, with |dlogL/dc| < N: at most (N sigma)^2."""
    known, data = fitted("known")
    t = known.statistic(data, mode=mode).t
    for sigma in (1e-4, 1e-6):
        near, _ = fitted(f"constrained({sigma})")
        np.testing.assert_allclose(near.statistic(data, mode=mode).t, t, rtol=0, atol=N**2 * sigma**2 + 1e-5)


@pytest.mark.parametrize("mode", ["converged", "one_step", "linear"])
def test_an_uncertainty_of_everything_is_nearly_a_free_yield(mode: str) -> None:
    """At sigma = 1 the yield costs c^2, c the log of a ratio near one: hundredths of t.

    Wide kernels and the intercept can trade off against each other, so that c may be large there.
    """
    free, data = fitted("free")
    (wide, _), (known, _) = fitted("constrained(1.0)"), fitted("known")
    t = free.statistic(data, mode=mode)
    shift = np.abs(wide.statistic(data, mode=mode).t - t.t)
    c0 = np.log(2100 / N)
    c = np.array([c0 + b[-1] for b in t.coefficients])
    assert abs(c[0]) < 0.3
    if mode != "linear":  # whose coefficients are those of the converged fit
        assert (shift < 2 * (c0**2 + c**2)).all()
    assert shift[0] < 0.01 * abs(known.statistic(data, mode=mode).t[0] - t.t[0])


def test_a_pure_excess_counts_as_far_as_the_yield_is_known() -> None:
    rng = np.random.default_rng(3)
    reference, apart, data = mixture(rng, 20_000), mixture(rng, 100), mixture(rng, 2300)
    t = [
        small_test(normalisation=name, widths=2.0).fit(reference, expected=N, settings=apart).statistic(data).t[0]
        for name in ("known", "constrained(0.01)", "constrained(0.05)", "constrained(0.3)", "free")
    ]
    assert (np.diff(t) < 0).all()
    excess = 300**2 / N  # in known normalisation; the rest of t is that of a few directions of noise
    assert t[0] - t[-1] == pytest.approx(excess, rel=0.25)
    for sigma, value in ((0.01, t[1]), (0.05, t[2])):
        assert value - t[-1] == pytest.approx(excess / (1 + sigma**2 * N), rel=0.25)
