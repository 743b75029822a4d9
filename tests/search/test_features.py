"""Features: whitening, truncation, blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import kernel, mixture
from unseen.errors import ConfigError, MemoryBudgetError
from unseen.search import features
from unseen.search.features import Features, Scale, choose_widths, make_map


def test_whitened_features_reproduce_the_kernel_at_the_centres() -> None:
    centers = mixture(np.random.default_rng(0), 60)
    phi = make_map(centers, 0.7, 1e-6, 1e-9)(torch.from_numpy(centers))
    np.testing.assert_allclose((phi @ phi.T).numpy(), kernel(centers, centers, 0.7), atol=1e-9)


def test_truncation_drops_directions_that_the_penalty_suppresses() -> None:
    centers = mixture(np.random.default_rng(1), 200)
    ranks = [make_map(centers, 2.0, 1e-6, cut).rank for cut in (1e-8, 1e-4, 1e-2)]
    assert ranks[0] > ranks[1] > ranks[2] > 5


def test_blocks_give_the_same_products_held_or_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "ROWS_PER_BLOCK", 64)
    rng = np.random.default_rng(2)
    x, m = mixture(rng, 500), make_map(mixture(rng, 40), 0.7, 1e-6, 1e-4)
    held = Features(m, x, intercept=True, budget=2.0**30)
    recomputed = Features(m, x, intercept=True, budget=64 * 2 * 41 * 8.0)
    assert held.blocks is not None
    assert recomputed.blocks is None
    b, v = torch.randn(held.rank, 3).double(), torch.randn(500, 3).double()
    assert torch.equal(held.project(b), recomputed.project(b))
    assert torch.equal(held.gather_sum(v), recomputed.gather_sum(v))
    rows = np.sort(rng.choice(500, 100, replace=False))
    np.testing.assert_allclose(held.take(rows).project(b), held.project(b)[rows], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(recomputed.take(rows).project(b), held.project(b)[rows], rtol=1e-10, atol=1e-10)
    joined = held.join(held.take(rows)).project(b)
    np.testing.assert_allclose(joined[500:], held.project(b)[rows], rtol=1e-12, atol=1e-12)


def test_a_budget_below_one_block_is_an_error() -> None:
    rng = np.random.default_rng(3)
    m = make_map(mixture(rng, 40), 0.7, 1e-6, 1e-4)
    with pytest.raises(MemoryBudgetError, match="memory_budget"):
        Features(m, mixture(rng, 500), intercept=False, budget=1000.0)


def test_automatic_widths_are_percentiles_of_pairwise_distances() -> None:
    z = mixture(np.random.default_rng(4), 300)
    widths = choose_widths("auto", z, np.random.default_rng(0))
    d = np.sqrt(((z[:, None] - z[None]) ** 2).sum(2))[np.triu_indices(300, 1)]
    np.testing.assert_allclose(widths, np.percentile(d, features.AUTO_PERCENTILES), rtol=1e-8)


@pytest.mark.parametrize("widths", [(), (1.0, -1.0), "wide", (float("nan"),)])
def test_bad_widths_are_named(widths: object) -> None:
    with pytest.raises(ConfigError, match="widths"):
        choose_widths(widths, mixture(np.random.default_rng(5), 50), np.random.default_rng(0))


def test_scale_standardises_with_weights_and_survives_constants() -> None:
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.normal(5, 3, 1000), np.full(1000, 0.1)])
    w = rng.uniform(0, 1, 1000)
    scale = Scale.measure(x, w)
    z = scale(x)
    assert scale.constant == 1
    assert np.average(z[:, 0], weights=w) == pytest.approx(0, abs=1e-12)
    assert np.average(z[:, 0] ** 2, weights=w) == pytest.approx(1)
