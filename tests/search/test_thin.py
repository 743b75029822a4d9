"""Fewer centres for the kept directions: features and t stay where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import Floats, mixture
from unseen.search import KernelTest, rank
from unseen.search.features import FeatureMap, make_map
from unseen.search.rank import choose_rank
from unseen.search.thin import thin_centers


def wide_map(rng: np.random.Generator, sigma: float = 1.5) -> FeatureMap:
    """Return a map whose rank is far below its number of centres."""
    z = mixture(rng, 2000)
    full = make_map(mixture(rng, 300), sigma)
    basis = torch.linalg.eigh(full(torch.from_numpy(z)).T @ full(torch.from_numpy(z)))[1]
    return full.rotate(basis[:, -20:])


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3])
def test_features_of_new_events_move_by_less_than_the_tolerance(tolerance: float) -> None:
    """Judged on 2000 events, tested on 2000 others: the largest of them may lie a little beyond."""
    rng = np.random.default_rng(1)
    full = wide_map(rng)
    thinned = thin_centers(full, torch.from_numpy(mixture(rng, 2000)), tolerance)
    assert thinned.rank == 20
    assert len(thinned.centers) < 0.5 * len(full.centers)
    new = torch.from_numpy(mixture(rng, 2000))
    moved, size = (thinned(new) - full(new)).norm(dim=1), full(new).norm(dim=1)
    within = moved / size.clamp(min=float(size.median())) <= tolerance
    assert int((~within).sum()) <= 3  # rank statistics: about one of 2000 new ones is beyond the largest of 2000
    assert float(moved.mean()) < tolerance * float(size.mean())


def test_a_tighter_tolerance_keeps_more_centres() -> None:
    rng = np.random.default_rng(2)
    full, events = wide_map(rng), torch.from_numpy(mixture(rng, 1000))
    sizes = [len(thin_centers(full, events, tolerance).centers) for tolerance in (1e-1, 1e-3, 1e-6)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_centres_that_are_all_needed_stay() -> None:
    rng = np.random.default_rng(3)
    full = make_map(mixture(rng, 100), 0.05)
    assert thin_centers(full, torch.from_numpy(mixture(rng, 500)), 1e-3) is full
    wide = wide_map(rng)
    assert thin_centers(wide, torch.from_numpy(mixture(rng, 500)), 0.0) is wide


def toys() -> Floats:
    rng = np.random.default_rng(4)
    reference, pool, settings = mixture(rng, 3000), mixture(rng, 600), mixture(rng, 300)
    test = KernelTest((0.7, 1.5, 4.0), 300, precision="float64").fit(reference, expected=200, settings=settings)
    centers = [len(m.centers) for m in test._need_fit().settings.maps]
    assert (min(centers) < 150) == (rank.thin_centers is thin_centers)
    return test.calibrate(pool, n_toys=30).t


def test_t_moves_by_less_than_a_thousandth_of_its_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    thinned = toys()
    monkeypatch.setattr(rank, "thin_centers", lambda feature_map, *_: feature_map)
    whole = toys()
    assert (np.abs(thinned - whole).max(axis=0) < 0.001 * whole.std(axis=0)).all()
    assert np.abs(thinned - whole).max() > 0.0


def test_thinned_maps_come_with_the_rank() -> None:
    rng = np.random.default_rng(5)
    z = mixture(rng, 3000)
    chosen = choose_rank(make_map(mixture(rng, 300), 3.0), z, np.full(3000, 0.1), 300.0, 1e-6, 0.01)
    assert chosen.rank <= len(chosen.centers) < 300
