"""The fast closure test: its null, its power, and its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from tests.systematics.ratio.build import shift_delta, shifted_gaussian
from unseen.errors import ConfigError, NonFiniteError, NuisanceRangeError, ShapeError
from unseen.systematics import Block, Closure, DensityRatio, RatioSamples, fit_kernel_ratio, moment_closure

EXACT = DensityRatio.of(shift_delta, ["shift"], limits=(-3, 3))
SETTINGS = {"n_data": 1000.0, "n_centers": 60, "rank": 8}


@pytest.mark.parametrize("matched", [True, False])
def test_an_exact_ratio_closes(matched: bool) -> None:
    """Over independent samples the shifts scatter around zero by their errors, and p-values are uniform."""
    pulls, p_values = [], []
    for seed in range(60):
        samples = shifted_gaussian(1500, seed=seed, grid=(2.0,))
        if not matched:
            other = shifted_gaussian(1500, seed=1000 + seed, grid=(2.0,))
            samples = RatioSamples.of(samples.z, [Block([2.0], other.blocks[0].z)], ["shift"])
        found = moment_closure(EXACT, samples, **SETTINGS, seed=seed)
        pulls.append(found.shift[0] / found.error[0])
        p_values.append(found.p_value[0])
    # 60 pulls: mean 0 +- 0.13, width 1 +- 0.1 wider for its chi-squared tail; p-values: mean 0.5 +- 0.037
    assert abs(np.mean(pulls)) < 0.5
    assert 0.6 < np.std(pulls) < 1.5
    assert abs(np.mean(p_values) - 0.5) < 0.15


def test_a_shift_is_what_the_formula_says() -> None:
    """Without r, for one feature space that holds all of it, n_data chi^2 distance / sqrt(2 dof)."""
    size, nu = 0.2, 1.0
    samples = shifted_gaussian(40_000, size=size, grid=(nu,))
    found = moment_closure(EXACT, samples, n_data=1000.0, n_centers=60, rank=8)
    # b' C^-1 b -> integral (p - q)^2 / q for densities p at 0 and q at nu, which is exp((s nu)^2) - 1
    expected = 1000.0 * np.expm1((size * nu) ** 2) / np.sqrt(2 * 9)
    assert found.unweighted[0] == pytest.approx(expected, rel=0.1)
    assert found.shift[0] < 0.05
    assert found.error[0] < 0.05
    assert found.passed
    doubled = moment_closure(EXACT, samples, n_data=2000.0, n_centers=60, rank=8)
    assert doubled.shift[0] == pytest.approx(2 * found.shift[0])


def test_a_wrong_ratio_fails_and_too_few_events_do_not_pass() -> None:
    half = DensityRatio.of(lambda z: shift_delta(z, 0.1), ["shift"])
    samples = shifted_gaussian(20_000, grid=(-2.0, 2.0))
    found = moment_closure(half, samples, **SETTINGS)
    assert not found.passed
    assert found.resolved
    assert max(found.p_value) < 1e-6
    assert found.nu == ((-2.0,), (2.0,))
    few = moment_closure(EXACT, shifted_gaussian(100, grid=(2.0,)), n_data=10_000.0, n_centers=60, rank=8)
    assert not few.resolved
    assert not few.passed


def test_a_learned_ratio_closes_on_events_held_out() -> None:
    train, held_out = shifted_gaussian(20_000, seed=12, grid=(-2, -1, 1, 2)).split(0.5, np.random.default_rng(0))
    ratio = fit_kernel_ratio(train, ["shift"], n_centers=150)
    found = moment_closure(ratio, held_out, n_data=1000.0, rank=8)
    assert found.passed, found.summary()
    assert min(found.unweighted) > 5
    ratio.with_closure(found).require_closure()


def test_rates_are_closed_too() -> None:
    """A ratio of shapes, with a yield that is 5 % off, fails: the first feature counts events."""
    shape = DensityRatio.of(lambda z: (shift_delta(z)[0] + 0.05, shift_delta(z)[1]), ["shift"])
    found = moment_closure(shape, shifted_gaussian(20_000, grid=(1.0,)), n_data=10_000.0, rank=8)
    # n (e^0.05 - 1)^2 / sqrt(2 dof) and what the shape adds
    assert found.shift[0] == pytest.approx(10_000 * np.expm1(0.05) ** 2 / np.sqrt(18), rel=0.25)


def test_what_is_refused() -> None:
    samples = shifted_gaussian(100, grid=(4.0,))
    with pytest.raises(NuisanceRangeError):
        moment_closure(EXACT, samples, n_data=100.0)
    with pytest.raises(ConfigError, match="n_data"):
        moment_closure(EXACT, samples, n_data=0.0)
    each = RatioSamples.of(samples.z, [Block(np.ones((100, 1)), samples.z, None, None, np.ones((100, 1)))], ["shift"])
    with pytest.raises(ShapeError, match="one nu for each block"):
        moment_closure(EXACT, each, n_data=100.0)


def test_a_closure_survives_json() -> None:
    found = moment_closure(EXACT, shifted_gaussian(500, grid=(1.0, 2.0)), **SETTINGS)
    assert Closure.from_json(found.to_json()) == found


def test_errors_below_zero_and_no_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"errors from -0\.1"):
        Closure("moments", ((1.0,),), (0.1,), (-0.1,), 100.0)
    with pytest.raises(ConfigError, match=r"for 0 data events"):
        Closure("moments", ((1.0,),), (0.1,), (0.1,), 0.0)
    with pytest.raises(NonFiniteError):
        Closure("moments", ((1.0,),), (0.1,), (0.1,), float("nan"))
