"""What must not matter to t, whatever the sample: order, orientation, splitting of events, units of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from tests.search.problems import Floats, mixture, small_test
from unseen.search import KernelTest

MODES = ("converged", "one_step", "linear")


@dataclass(frozen=True)
class Problem:
    """A fitted test's inputs: samples of any size and dimension, weights, and the options that t depends on."""

    reference: Floats
    weights: Floats
    data: Floats
    settings: Floats
    expected: float
    options: dict[str, object]

    def test(self, **changes: object) -> KernelTest:
        return small_test(**(self.options | changes))

    def t(self, test: KernelTest, reference: Floats, weights: Floats, data: Floats, settings: Floats) -> Floats:
        """Return the three statistics of `data`, with `expected` events of the reference."""
        test.fit(reference, weights, expected=self.expected, settings=settings)
        return np.concatenate([test.statistic(data, mode=mode).t for mode in MODES])


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, 4))
    n_reference, n_data, n_settings = draw(st.integers(20, 400)), draw(st.integers(1, 80)), draw(st.integers(5, 25))
    spread = draw(st.sampled_from([0.0, 0.5, 0.9]))
    return Problem(
        mixture(rng, n_reference, d),
        rng.uniform(1.0 - spread, 1.0, n_reference),
        mixture(rng, n_data, d),
        mixture(rng, n_settings, d),
        draw(st.floats(0.5, 2.0)) * n_data,
        {
            "widths": tuple(draw(st.lists(st.floats(0.2, 3.0), min_size=1, max_size=2))),
            "n_centers": n_settings,
            "penalty": draw(st.sampled_from([1e-6, 1e-4, 1e-2])),
            "normalisation": draw(st.sampled_from(["known", "constrained(0.05)", "constrained(0.5)", "free"])),
            "standardise": draw(st.booleans()),
        },
    )


def same(a: Floats, b: Floats) -> None:
    """Directions of K_MM near rounding turn noise of 1e-16 into up to 1e-6 of t, far below what a null resolves."""
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


every_problem = settings(max_examples=7, deadline=None, derandomize=True)


@given(problems(), st.integers(0, 2**32 - 1))
@every_problem
def test_the_order_of_events(problem: Problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(len(problem.reference)), rng.permutation(len(problem.data))
    p = problem
    t = p.t(p.test(), p.reference, p.weights, p.data, p.settings)
    same(p.t(p.test(), p.reference[a], p.weights[a], p.data[b], p.settings), t)


@given(problems(), st.integers(0, 2**32 - 1))
@every_problem
def test_a_rotation_of_all_features(problem: Problem, seed: int) -> None:
    p, d = problem, problem.data.shape[1]
    rotation = np.array([[-1.0]]) if d == 1 else ortho_group.rvs(d, random_state=seed)
    t = p.t(p.test(standardise=False), p.reference, p.weights, p.data, p.settings)
    rotated = (x @ rotation for x in (p.reference, p.data, p.settings))
    reference, data, apart = rotated
    same(p.t(p.test(standardise=False), reference, p.weights, data, apart), t)


@given(problems(), st.floats(-100.0, 100.0))
@every_problem
def test_a_shift_of_all_features(problem: Problem, offset: float) -> None:
    p = problem
    t = p.t(p.test(), p.reference, p.weights, p.data, p.settings)
    same(p.t(p.test(), p.reference + offset, p.weights, p.data + offset, p.settings + offset), t)


@given(problems())
@every_problem
def test_an_event_split_in_two_of_half_its_weight(problem: Problem) -> None:
    """n lambda counts events, so the penalty is rescaled; H0 counts N in place of N_D, so the linear t is left out."""
    p = problem
    t = p.t(p.test(), p.reference, p.weights, p.data, p.settings)
    n = len(p.reference)
    twice, half = np.vstack([p.reference, p.reference]), np.concatenate([p.weights, p.weights]) / 2
    for count, part in ((len(p.data), slice(0, 2)), (p.expected, slice(2, 3))):
        penalty = float(p.options["penalty"]) * (n + count) / (2 * n + count)
        split = p.t(p.test(penalty=penalty), twice, half, p.data, p.settings).reshape(3, -1)
        same(split[part], t.reshape(3, -1)[part])


@given(problems(), st.floats(1e-3, 1e3))
@every_problem
def test_the_unit_of_the_weights(problem: Problem, factor: float) -> None:
    p = problem
    t = p.t(p.test(), p.reference, p.weights, p.data, p.settings)
    same(p.t(p.test(), p.reference, p.weights * factor, p.data, p.settings), t)


@given(problems(), st.floats(0.1, 10.0))
@every_problem
def test_scaled_weights_are_a_scaled_expectation(problem: Problem, factor: float) -> None:
    p = problem
    w = p.weights * (p.expected / p.weights.sum())
    by_weights, by_expected = p.test(), p.test()
    by_weights.fit(p.reference, w * factor, settings=p.settings)
    by_expected.fit(p.reference, w, expected=float(w.sum()) * factor, settings=p.settings)
    for mode in MODES:
        same(by_weights.statistic(p.data, mode=mode).t, by_expected.statistic(p.data, mode=mode).t)


@given(problems())
@settings(max_examples=3, deadline=None, derandomize=True)
def test_toys_of_fixed_number_do_not_know_the_order_of_the_pool_columns(problem: Problem) -> None:
    """Columns exchanged everywhere: the same toys of the same events."""
    p, rng = problem, np.random.default_rng(0)
    pool = mixture(rng, 30 * len(p.data) + 100, p.data.shape[1])
    t = []
    for order in (slice(None), slice(None, None, -1)):
        test = p.test().fit(p.reference[:, order], expected=float(len(p.data)), settings=p.settings[:, order])
        t.append(test.calibrate(pool[:, order], "toys", n_toys=10, n_data=len(p.data)).t)
    same(t[0], t[1])


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_features(scale: float) -> None:
    rng = np.random.default_rng(1)
    samples = mixture(rng, 300), mixture(rng, 40), mixture(rng, 20)
    t = [
        small_test().fit(samples[0] * s, expected=40, settings=samples[2] * s).statistic(samples[1] * s).t
        for s in (1.0, scale)
    ]
    same(t[0], t[1])
