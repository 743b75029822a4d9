"""The statistic against its definition, and its symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import DOUBLE, dense_converged, dense_linear, dense_one_step, mixture, small_test
from unseen.search.features import Features, make_map
from unseen.search.loss import gradient, make_batch
from unseen.search.newton import damped_newton
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import DataWhitener, Shared
from unseen.search.solver import minimise
from unseen.search.statistic import shared_factor

EXACT = {"widths": (0.2, 0.4)}  # narrow kernels keep the naive dense problem well conditioned
KNOWN = Normalisation.parse("known")
NORMALISATIONS = ["known", "constrained(0.05)", "free"]


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("signal", [0, 25])
def test_converged_is_the_dense_minimum(normalisation: str, signal: int) -> None:
    rng = np.random.default_rng(1)
    data = np.vstack([mixture(rng, 95), rng.normal([2.5, -2.0], 0.1, (signal, 2))])
    test = small_test(normalisation=normalisation, **EXACT).fit(mixture(rng, 900), expected=100)
    t = test.statistic(data).t
    for width in range(2):
        assert t[width] == pytest.approx(dense_converged(test, data, width), abs=1e-5)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_one_step_is_the_dense_newton_step(normalisation: str) -> None:
    rng = np.random.default_rng(2)
    data = np.vstack([mixture(rng, 95), rng.normal([2.5, -2.0], 0.1, (10, 2))])
    test = small_test(normalisation=normalisation, **EXACT).fit(mixture(rng, 900), expected=100)
    t = test.statistic(data, mode="one_step").t
    for width in range(2):
        assert t[width] == pytest.approx(dense_one_step(test, data, width), abs=1e-6)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("signal", [0, 25])
def test_linear_is_the_quadratic_form_of_its_definition(normalisation: str, signal: int) -> None:
    rng = np.random.default_rng(13)
    data = np.vstack([mixture(rng, 95), rng.normal([2.5, -2.0], 0.1, (signal, 2))])
    test = small_test(normalisation=normalisation, **EXACT).fit(mixture(rng, 900), expected=100)
    for mode in ("linear", "converged"):  # every statistic comes with the linear one of the same data
        linear = test.statistic(data, mode=mode).linear
        for width in range(2):
            assert linear[width] == pytest.approx(dense_linear(test, data, width), rel=1e-9)
    assert (test.statistic(data, mode="linear").t == test.statistic(data, mode="linear").linear).all()


def test_one_step_and_converged_agree_without_signal_and_part_with_one() -> None:
    rng = np.random.default_rng(3)
    test = small_test(widths=1.5).fit(mixture(rng, 20_000), expected=2000, settings=mixture(rng, 200))
    null, signal = mixture(rng, 2000), np.vstack([mixture(rng, 2000), rng.normal([4, -3], 0.2, (60, 2))])
    difference = [test.statistic(x).t[0] - test.statistic(x, mode="one_step").t[0] for x in (null, signal)]
    assert abs(difference[0]) < 0.05 * abs(difference[1])
    assert difference[1] > 0


def test_weighted_reference_is_the_dense_minimum() -> None:
    rng = np.random.default_rng(4)
    test = small_test(**EXACT).fit(mixture(rng, 900), weights=rng.uniform(0.0, 0.3, 900))
    data = mixture(rng, 130)
    assert test.statistic(data).t[1] == pytest.approx(dense_converged(test, data, 1), abs=1e-5)


def test_order_of_events_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    reference, data, settings = mixture(rng, 800), mixture(rng, 100), mixture(rng, 100)
    w = rng.uniform(0.5, 1.5, 800)
    a, b = rng.permutation(800), rng.permutation(100)
    t = small_test().fit(reference, w, expected=100, settings=settings).statistic(data).t
    shuffled = small_test().fit(reference[a], w[a], expected=100, settings=settings).statistic(data[b])
    np.testing.assert_allclose(shuffled.t, t, rtol=1e-9, atol=1e-9)


def test_doubled_weights_are_a_doubled_expectation() -> None:
    rng = np.random.default_rng(6)
    reference, data = mixture(rng, 800), mixture(rng, 100)
    w = rng.uniform(0.05, 0.2, 800)
    twice = small_test().fit(reference, 2 * w).statistic(data).t
    expected = small_test().fit(reference, w, expected=2 * w.sum()).statistic(data).t
    np.testing.assert_allclose(twice, expected, rtol=1e-12)


def test_an_event_split_in_two_halves_changes_nothing_but_the_count() -> None:
    rng = np.random.default_rng(7)
    reference, data, settings = mixture(rng, 800), mixture(rng, 100), mixture(rng, 100)
    whole = small_test().fit(reference, expected=100, settings=settings)
    # n lambda counts events: the same ridge needs the penalty of the larger count
    halves = small_test(penalty=1e-5 * 900 / 1700)
    halves.fit(np.vstack([reference, reference]), np.full(1600, 0.5), expected=100, settings=settings)
    np.testing.assert_allclose(halves.statistic(data).t, whole.statistic(data).t, rtol=1e-8)


def test_free_normalisation_ignores_the_expected_yield() -> None:
    rng = np.random.default_rng(8)
    reference, data, settings = mixture(rng, 800), mixture(rng, 150), mixture(rng, 100)
    fits = [
        small_test(normalisation="free").fit(reference, expected=n, settings=settings).statistic(data).t
        for n in (50, 150, 600)
    ]
    np.testing.assert_allclose(fits[0], fits[1], rtol=1e-8)
    np.testing.assert_allclose(fits[2], fits[1], rtol=1e-8)


def test_free_normalisation_sees_no_pure_excess_where_known_does() -> None:
    rng = np.random.default_rng(9)
    reference, settings, data = mixture(rng, 4000), mixture(rng, 200), mixture(rng, 400)
    known = small_test(widths=2.0).fit(reference, expected=200, settings=settings).statistic(data).t[0]
    free = small_test(widths=2.0, normalisation="free").fit(reference, expected=200, settings=settings)
    assert known > 100
    assert free.statistic(data).t[0] < 40


def test_a_rare_kernel_that_one_event_carries_converges() -> None:
    rng = np.random.default_rng(10)
    lonely = np.array([[9.0, -9.0]])
    test = small_test(widths=0.3, penalty=1e-10)
    test.fit(mixture(rng, 800), expected=100, settings=np.vstack([mixture(rng, 50), lonely]))
    data = np.vstack([mixture(rng, 100), lonely + 0.01, lonely - 0.01])
    assert test.statistic(data).t[0] == pytest.approx(dense_converged(test, data, 0), rel=1e-4)


def test_batched_fits_equal_single_ones() -> None:
    rng = np.random.default_rng(11)
    phi = Features(make_map(mixture(rng, 40), 0.5), mixture(rng, 1200), DOUBLE)
    code = torch.zeros(6, 1200, dtype=torch.int8)
    for toy in range(6):
        rows = rng.permutation(1200)
        code[toy, rows[:900]] = 1
        code[toy, rows[900 : 990 + 2 * toy]] = -1
    w = torch.full((1200,), 100 / 900, dtype=torch.float64)
    batch = make_batch(phi, code, w, torch.full((6,), 100.0, dtype=torch.float64), KNOWN, 1e-6)
    factor = shared_factor(phi.second_moment(w * 900 / 1200), 1000, 1e-6, KNOWN)
    together = minimise(batch, Shared(factor), 1e-6)
    assert together.converged.all()
    f = phi.project(together.b)
    for toy in range(6):
        one = batch.pick(torch.tensor([toy]))
        b, ok = damped_newton(one, torch.zeros(1, phi.rank).double(), 1e-10)
        assert ok
        assert gradient(one, b).abs().max() < 1e-10
        assert (f[toy] - phi.project(b)[0]).abs().max() < 1e-4


def test_preconditioner_with_data_is_the_hessian_at_zero_and_changes_no_minimum() -> None:
    rng = np.random.default_rng(12)
    phi = Features(make_map(mixture(rng, 40), 0.3), mixture(rng, 600), DOUBLE)
    w = torch.full((600,), 0.1, dtype=torch.float64)
    factor = shared_factor(phi.second_moment(w), 700, 1e-5, KNOWN, share=0.25)
    draws = [torch.from_numpy(rng.choice(600, n, replace=False)) for n in (30, 50)]
    code = torch.ones(2, 600, dtype=torch.int8)
    for toy, rows in enumerate(draws):
        code[toy, rows] = -1
    start = DataWhitener(phi, factor)(code)
    x = torch.cat([block for _, block in phi])
    g = torch.randn(2, phi.rank, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for toy, rows in enumerate(draws):
        h = factor @ factor.T + x[rows].T @ x[rows] / 4
        np.testing.assert_allclose(start.solve(g)[toy], torch.linalg.solve(h, g[toy]), rtol=1e-3, atol=1e-4)
    n_reference = (code > 0).sum(1).double()
    batch = make_batch(phi, code, w, 0.1 * n_reference, KNOWN, 7e-3 / 600)
    fits = [minimise(batch, p, 1e-6) for p in (start, Shared(factor))]
    assert all(bool(fit.converged.all()) for fit in fits)
    assert (phi.project(fits[0].b) - phi.project(fits[1].b)).abs().max() < 1e-4
    assert fits[0].passes < fits[1].passes
