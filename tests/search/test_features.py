"""Features: whitening, and blocks that are held up to the budget and computed again beyond."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import DOUBLE, kernel, mixture, small_test
from unseen.errors import MemoryBudgetError
from unseen.search import features, fitted
from unseen.search.compute import Compute
from unseen.search.features import Features, make_map

BLOCK = 64


def test_whitened_features_reproduce_the_kernel_at_the_centres() -> None:
    centers = mixture(np.random.default_rng(0), 60)
    phi = make_map(centers, 0.7)(torch.from_numpy(centers))
    np.testing.assert_allclose((phi @ phi.T).numpy(), kernel(centers, centers, 0.7), atol=1e-9)


def test_all_directions_above_rounding_are_kept() -> None:
    centers = mixture(np.random.default_rng(1), 200)
    assert make_map(centers, 0.01).rank == 200
    for sigma in (0.5, 2.0):
        values = np.linalg.eigvalsh(kernel(centers, centers, sigma))
        kept = values > 200 * values[-1] * np.finfo(np.float64).eps
        assert make_map(centers, sigma).rank == pytest.approx(kept.sum(), abs=3)  # rounding decides about the last ones


def test_an_embedding_sees_its_own_columns_alone() -> None:
    rng = np.random.default_rng(2)
    centers, z = mixture(rng, 30, 3), mixture(rng, 50, 3)
    own = make_map(np.ascontiguousarray(centers[:, 1:]), 0.7)
    inside = make_map(centers, 0.7, columns=(1, 3))
    torch.testing.assert_close(inside(torch.from_numpy(z)), own(torch.from_numpy(z[:, 1:])), rtol=0, atol=1e-12)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (features, fitted):
        monkeypatch.setattr(module, "ROWS_PER_BLOCK", BLOCK)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("intercept", [False, True])
def test_blocks_give_the_same_products_held_partly_or_recomputed(dtype: torch.dtype, intercept: bool) -> None:
    rng = np.random.default_rng(3)
    x, m = mixture(rng, 500), make_map(mixture(rng, 40), 0.7)
    held = Features(m, x, Compute(2.0**30, dtype), intercept=intercept)
    assert held.held
    assert held.rank == m.rank + intercept
    some = [held]
    for n in (0, 3):
        budget = 8.0 * BLOCK * (40 + held.rank) + n * dtype.itemsize * BLOCK * held.rank
        some.append(Features(m, x, Compute(budget, dtype), intercept=intercept))
        assert sum(block is not None for block in some[-1].blocks) == n
        assert some[-1].held_bytes == n * dtype.itemsize * BLOCK * held.rank
    b, v = torch.randn(3, held.rank).double(), torch.randn(3, 500).to(dtype)
    rows = np.sort(rng.choice(500, 100, replace=False))
    for phi in some:
        assert torch.equal(phi.project(b), held.project(b))
        assert torch.equal(phi.total(v), held.total(v))
        assert torch.equal(phi.second_moment(v[0]), held.second_moment(v[0]))
        taken = phi.take(rows)
        assert len(taken) == 100
        atol = 1e-4 if dtype == torch.float32 else 1e-10
        torch.testing.assert_close(taken.project(b), held.project(b)[:, rows], rtol=0, atol=atol)
        joined = phi.join(taken)
        assert len(joined) == 600
        torch.testing.assert_close(joined.project(b)[:, 500:], held.project(b)[:, rows], rtol=0, atol=atol)


@pytest.mark.usefixtures("small_blocks")
def test_products_are_those_of_one_matrix() -> None:
    rng = np.random.default_rng(4)
    x, m = mixture(rng, 300), make_map(mixture(rng, 40), 0.7)
    phi = Features(m, x, DOUBLE, intercept=True)
    matrix = torch.cat([m(torch.from_numpy(x)), torch.ones(300, 1)], dim=1)
    b, w = torch.randn(2, phi.rank).double(), torch.randn(2, 300).double()
    torch.testing.assert_close(phi.project(b), b @ matrix.T, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(phi.total(w), w @ matrix, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(phi.second_moment(w[0]), matrix.T @ (matrix * w[0, :, None]), rtol=1e-12, atol=1e-10)


def test_a_budget_below_one_block_is_an_error() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(MemoryBudgetError, match="memory_budget"):
        Features(make_map(mixture(rng, 40), 0.7), mixture(rng, 500), Compute(1000.0, torch.float64))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("precision", ["mixed", "float64"])
def test_results_do_not_depend_on_what_the_budget_lets_be_held(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    held: list[tuple[int, int]] = []
    hold = Features._hold_what_fits

    def spy(phi: Features) -> None:
        hold(phi)
        held.append((sum(block is not None for block in phi.blocks), len(phi.blocks)))

    monkeypatch.setattr(Features, "_hold_what_fits", spy)
    rng = np.random.default_rng(6)
    samples = mixture(rng, 800), mixture(rng, 1200), mixture(rng, 80)
    results, fractions = [], []
    for budget in (2.0**30, 150_000.0, 35_000.0):
        held.clear()
        test = small_test(precision=precision, memory_budget=budget / 2**30).fit(samples[0], expected=80)
        results.append((test.calibrate(samples[1], n_toys=20).t, test.search(samples[2])))
        fractions.append([n / of for n, of in held])
    assert min(fractions[0]) == 1.0
    assert any(0.0 < f < 1.0 for f in fractions[1])
    assert 0.0 in fractions[2]
    for t, result in results[1:]:
        np.testing.assert_array_equal(t, results[0][0])
        assert result == results[0][1]
