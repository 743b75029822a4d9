"""Every kind of ratio: a new entry in the table is tested without a new test. And what each one is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.systematics.ratio.build import shift_delta, shifted_gaussian
from unseen.errors import NotEnoughEventsError, NuisanceError, ShapeError
from unseen.systematics import (
    Block,
    DensityRatio,
    RatioSamples,
    fit_kernel_ratio,
    fit_mixture_ratio,
    fit_weight_ratio,
    join,
    yield_ratio,
)
from unseen.systematics.ratio import SOURCES, mix
from unseen.systematics.ratio.fractions import FunctionFractions
from unseen.systematics.ratio.free_network import FreeNetworkSource
from unseen.systematics.ratio.mixture import MixtureSource
from unseen.systematics.ratio.monomials import from_columns, labels, monomials, to_columns
from unseen.systematics.ratio.network import NetworkSource
from unseen.systematics.ratio.perceptron import Perceptron

LIMITS = np.array([[-2.0, 2.0], [-3.0, 3.0]])
NODES = np.random.default_rng(2).normal(size=(20, 2))
Z = np.random.default_rng(0).normal(size=(300, 1))


def two_processes(n: int = 8000, s: float = 0.2) -> tuple[RatioSamples, np.ndarray]:
    """N(0, 1) that moves by s nu, and N(2, 1) that does not but gains e^(0.1 nu) in rate."""
    rng = np.random.default_rng(5)
    process, event = (np.arange(n) % 2).astype(np.int64), np.arange(n)
    z = rng.normal(size=(n, 1)) + 2.0 * process[:, None]
    blocks = [
        Block([nu], z + s * nu * (process == 0)[:, None], np.exp(0.1 * nu * (process == 1)), event)
        for nu in (-2.0, -1.0, 1.0, 2.0)
    ]
    return RatioSamples.of(z, blocks, ["nu"], event=event), process


def _mixture() -> DensityRatio:
    samples, process = two_processes(1000)
    return fit_mixture_ratio(samples, process, ["nu"], penalty=1e-3, n_centers=30)


def perceptron(n_in: int, n_out: int) -> Perceptron:
    """One hidden layer of six."""
    rng = np.random.default_rng(3)
    weights, biases = (rng.normal(size=(6, n_in)), rng.normal(size=(n_out, 6))), (rng.normal(size=6), np.zeros(n_out))
    return Perceptron(np.full(n_in, 0.1), np.full(n_in, 2.0), weights, biases)


MAKE: dict[str, Callable[[], DensityRatio]] = {
    "function": lambda: DensityRatio.of(shift_delta, ["shift"]),
    "joined": lambda: join(MAKE["kernel"](), yield_ratio("lumi", 0.05, 1)),
    "kernel": lambda: fit_kernel_ratio(shifted_gaussian(300), ["shift"], penalty=1e-3, n_centers=30),
    "mixture": _mixture,
    "network": lambda: DensityRatio(("a", "b"), LIMITS, NetworkSource(perceptron(1, 5), np.array([2.0, 3.0]))),
    "free-network": lambda: DensityRatio(
        ("a", "b"), LIMITS, FreeNetworkSource(perceptron(3, 1), np.array([2.0, 3.0]), NODES)
    ),
}


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_a_kind_gives_coefficients_and_survives_a_file(kind: str, tmp_path: Path) -> None:
    assert kind in MAKE, f"give MAKE a ratio of the kind '{kind}'"
    ratio = MAKE[kind]()
    assert ratio.source.kind == kind
    k = len(ratio.names)
    linear, quadratic = ratio(Z)
    assert linear.shape == (300, k)
    assert quadratic.shape == (300, k, k)
    assert linear.dtype == quadratic.dtype == np.float64
    np.testing.assert_allclose(quadratic, quadratic.transpose(0, 2, 1), atol=1e-15)
    assert not ratio.log_ratio(Z, np.zeros(k)).any()
    for part in (ratio(Z[:1]), ratio(Z[:0])):
        assert part[0].shape[1:] == (k,)
    np.testing.assert_allclose(ratio(Z[:7])[0], linear[:7], rtol=1e-9, atol=1e-12)
    if kind == "function":
        return
    ratio.save(tmp_path)
    again = DensityRatio.load(tmp_path)
    np.testing.assert_array_equal(again(Z)[0], linear)
    np.testing.assert_array_equal(again(Z)[1], quadratic)


def test_a_mixture_is_the_logarithm_to_second_order() -> None:
    rng = np.random.default_rng(1)
    parts = [(rng.normal(size=(50, 2)), rng.normal(size=(50, 2, 2))) for _ in range(3)]
    parts = [(a, (b + b.transpose(0, 2, 1)) / 2) for a, b in parts]
    pi = rng.dirichlet([1, 2, 3], size=50)
    linear, quadratic = mix(parts, pi)
    for nu in ([0.01, 0.0], [0.0, -0.01], [0.007, 0.007]):
        log_r = [a @ nu + np.einsum("nkl,k,l->n", b, nu, nu) for a, b in parts]
        exact = np.log(sum(pi[:, p] * np.exp(log_r[p]) for p in range(3)))
        # the third order: |nu|^3 times cumulants of a few
        np.testing.assert_allclose(linear @ nu + np.einsum("nkl,k,l->n", quadratic, nu, nu), exact, atol=2e-5)
    with pytest.raises(ShapeError, match="do not sum to one"):
        mix(parts, 2 * pi)
    with pytest.raises(ShapeError, match="expected"):
        mix(parts, pi[:, :2])


def test_fractions_may_be_a_function_but_are_not_saved(tmp_path: Path) -> None:
    source = DensityRatio.of(shift_delta, ["shift"]).source
    fractions = FunctionFractions(lambda z: np.full((len(z), 2), 0.5), 1)
    ratio = DensityRatio(("shift",), np.array([[-1.0, 1.0]]), MixtureSource((source, source), fractions))
    np.testing.assert_allclose(ratio(Z)[0], shift_delta(Z)[0])
    with pytest.raises(NuisanceError, match="cannot be saved"):
        ratio.save(tmp_path)


def test_processes_respond_differently() -> None:
    samples, process = two_processes()
    ratio = fit_mixture_ratio(samples, process, ["nu"], n_centers=100)
    z = np.linspace(-2, 4, 50)[:, None]
    p0, p1 = (np.exp(-0.5 * (z[:, 0] - m) ** 2) for m in (0.0, 2.0))
    pi = p0 / (p0 + p1)
    expected = pi * 0.2 * z[:, 0] + (1 - pi) * 0.1
    # each process has 4,000 events at 4 values, the fraction is a regression on 8,000
    assert np.sqrt(np.mean((ratio(z)[0][:, 0] - expected) ** 2)) < 0.25 * expected.std()
    with pytest.raises(NotEnoughEventsError, match="process 1 has no events"):
        fit_mixture_ratio(samples, process * 2, ["nu"])
    with pytest.raises(ShapeError, match="whole numbers from 0"):
        fit_mixture_ratio(samples, process[:10], ["nu"])
    with pytest.raises(ShapeError, match="`event` number"):
        fit_mixture_ratio(RatioSamples.of(samples.z, [([1.0], samples.z)], ["nu"]), process, ["nu"])


def test_a_yield_is_exact() -> None:
    ratio = yield_ratio("lumi", 0.025, 3)
    z = np.random.default_rng(0).normal(size=(10, 3))
    np.testing.assert_allclose(ratio.log_ratio(z, [2.0]), 2 * np.log(1.025))
    assert ratio.sample_check(z, [1.0]).rate == pytest.approx(1.025)
    with pytest.raises(NuisanceError, match="size"):
        yield_ratio("lumi", 0.0, 3)


def test_weights_need_no_distorted_events() -> None:
    """A process known to 10 %: delta = log(1.1) pi(z), half the variance log(1.1)^2 pi (1 - pi) / 2."""
    samples, process = two_processes()
    g = np.log(1.1)
    up = np.stack([g * (process == 1), np.full(len(process), np.log(1.02))], axis=1)
    ratio = fit_weight_ratio(samples.z, up, ["xsec", "lumi"])
    z = np.linspace(-2, 4, 50)[:, None]
    p0, p1 = (np.exp(-0.5 * (z[:, 0] - m) ** 2) for m in (0.0, 2.0))
    pi = p1 / (p0 + p1)
    linear, quadratic = ratio(z)
    assert np.sqrt(np.mean((linear[:, 0] / g - pi) ** 2)) < 0.03  # binomial, 8,000 events
    assert np.sqrt(np.mean((2 * quadratic[:, 0, 0] / g**2 - pi * (1 - pi)) ** 2)) < 0.05
    np.testing.assert_allclose(linear[:, 1], np.log(1.02), atol=1e-9)
    np.testing.assert_allclose(quadratic[:, :, 1], 0.0, atol=1e-9)
    bent = fit_weight_ratio(samples.z, up, ["xsec", "lumi"], down=np.zeros_like(up))
    np.testing.assert_allclose(bent(z)[1][:, 1, 1], np.log(1.02) / 2, atol=1e-9)
    with pytest.raises(ShapeError, match="log factors"):
        fit_weight_ratio(samples.z, up[:, :1], ["xsec", "lumi"])


def test_joined_ratios_add_up() -> None:
    shift, lumi = DensityRatio.of(shift_delta, ["shift"]), yield_ratio("lumi", 0.05, 1)
    both = join(shift, lumi)
    assert both.names == ("shift", "lumi")
    np.testing.assert_allclose(
        both.log_ratio(Z, [1.0, -2.0]), shift.log_ratio(Z, [1.0]) + lumi.log_ratio(Z, [-2.0]), atol=1e-15
    )
    with pytest.raises(NuisanceError, match="all different"):
        join(shift, shift)
    with pytest.raises(ShapeError, match="cannot be joined"):
        join(shift, yield_ratio("lumi", 0.05, 2))
    with pytest.raises(NuisanceError, match="no ratios"):
        join()


def test_monomials_and_coefficients() -> None:
    rng = np.random.default_rng(0)
    nu, columns = rng.normal(size=(6, 3)), rng.normal(size=(6, 9))
    linear, quadratic = from_columns(columns, 3)
    value = (linear * nu).sum(1) + np.einsum("nkl,nk,nl->n", quadratic, nu, nu)
    np.testing.assert_allclose((monomials(nu) * columns).sum(1), value)
    np.testing.assert_allclose(to_columns(linear, quadratic), columns)
    assert labels(("a", "b")) == ("a", "b", "a a", "a b", "b b")


def test_layers_that_do_not_fit_together_are_refused() -> None:
    good = perceptron(1, 5)
    with pytest.raises(ValueError, match="5 outputs for 1 parameters"):
        NetworkSource(good, np.array([2.0]))
    with pytest.raises(ValueError, match="do not follow"):
        Perceptron(good.mean, good.deviation, good.weights[::-1], good.biases)
    with pytest.raises(ValueError, match="not positive"):
        Perceptron(good.mean, 0 * good.deviation, good.weights, good.biases)


def test_a_free_network_that_is_a_polynomial_loses_nothing() -> None:
    # 0.3 (max(nu, 0) - max(-nu, 0)) = 0.3 nu of the first parameter.
    weights = (np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]), np.array([[0.3, -0.3]]))
    network = Perceptron(np.zeros(3), np.ones(3), weights, (np.zeros(2), np.zeros(1)))
    source = FreeNetworkSource(network, np.array([2.0, 3.0]), NODES)
    linear, quadratic = source.coefficients(Z)
    np.testing.assert_allclose(linear, np.tile([0.15, 0.0], (300, 1)), atol=1e-12)  # 0.3 nu_a / 2
    np.testing.assert_allclose(quadratic, 0.0, atol=1e-12)
    assert source.residual(Z) < 1e-12
