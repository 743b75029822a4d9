"""Which kernel directions are kept: those that t or any single event could miss."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from tests.search.problems import DOUBLE, Floats, mixture
from unseen.search import KernelTest, rank
from unseen.search.features import FeatureMap, Features, make_map
from unseen.search.normalisation import Normalisation
from unseen.search.rank import choose_rank
from unseen.search.statistic import LinearForm, shared_factor

KNOWN = Normalisation.parse("known")
TOYS = 2000


@cache
def linear_toys(rank_tolerance: float) -> Floats:
    rng = np.random.default_rng(1)
    reference, pool, settings = mixture(rng, 2000), mixture(rng, 600), mixture(rng, 150)
    test = KernelTest(
        (0.2, 0.7, 2.5), 150, statistic="linear", precision="float64", rank_tolerance=rank_tolerance, penalty=1e-5
    )
    return test.fit(reference, expected=200, settings=settings).calibrate(pool, "linear", n_toys=TOYS).t


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.001])
def test_dropped_directions_move_the_null_by_no_more_than_the_tolerance(tolerance: float) -> None:
    """The same toys with and without them. A positive form can only lose; its mean loss is the sum that is bounded."""
    full, kept = linear_toys(0.0), linear_toys(tolerance)
    loss = (full - kept) / full.std(axis=0)
    assert (loss.mean(axis=0) < tolerance + 3.3 * loss.std(axis=0) / np.sqrt(TOYS)).all()
    assert loss.min() > -0.1 * tolerance  # thinned centres move features by a tenth of it
    assert loss.max() > 0.0


def test_the_rank_grows_as_penalty_and_tolerance_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    z, w, full = mixture(rng, 3000), np.full(3000, 0.1), make_map(mixture(rng, 200), 2.5)

    def ranks(options: list[tuple[float, float]]) -> list[int]:
        return [choose_rank(full, z, w, 300.0, penalty, tolerance).rank for penalty, tolerance in options]

    by_penalty, by_tolerance = [(p, 0.01) for p in (1e-2, 1e-4, 1e-6, 1e-8)], [(1e-6, t) for t in (0.3, 0.03, 0.003)]
    for options in (by_penalty, by_tolerance):
        assert ranks(options) == sorted(ranks(options))
        assert ranks(options)[0] < ranks(options)[-1] <= full.rank
    monkeypatch.setattr(rank, "_of_single_events", lambda rotated, *_: (torch.zeros(rotated.rank),) * 2)
    for options in (by_penalty, by_tolerance):  # the spread of the null by itself
        assert (np.diff(ranks(options)) > 0).all()


def own_t(feature_map: FeatureMap, reference: Floats, events: Floats, penalty: float, expected: float) -> Floats:
    """Return phi' A phi of every event: what it adds to the linear statistic by itself."""
    phi = Features(feature_map, reference, DOUBLE)
    n = len(reference)
    moment = phi.second_moment(torch.full((n,), expected / n, dtype=torch.float64))
    form = LinearForm(shared_factor(moment, n + expected, penalty, KNOWN), (n + expected) * penalty, intercept=False)
    x = feature_map(torch.from_numpy(events))
    return ((x @ form.matrix()) * x).sum(1).numpy()


def sparse_tail() -> tuple[Floats, Floats, FeatureMap]:
    """Return a reference, its eight events far out (spread evenly over it), and a map that has centres there."""
    rng = np.random.default_rng(4)
    tail = rng.normal([7.5, 7.0], 0.5, (8, 2))
    reference = rng.normal(size=(4000, 2))
    reference[np.arange(8) * 501] = tail
    return reference, tail, make_map(np.vstack([rng.normal(size=(120, 2)), tail[:3] + 0.2]), 2.0)


@pytest.mark.parametrize("penalty", [1e-2, 1e-3])
@pytest.mark.parametrize("tolerance", [0.05, 0.01])
def test_events_in_a_sparse_tail_keep_what_they_add_to_t(
    monkeypatch: pytest.MonkeyPatch, tolerance: float, penalty: float
) -> None:
    reference, tail, full = sparse_tail()
    w, expected = np.full(len(reference), 0.1), 400.0
    events = np.vstack([tail, reference[:500]])
    whole = own_t(full, reference, events, penalty, expected)

    def kept() -> Floats:
        chosen = choose_rank(full, reference, w, expected, penalty, tolerance)
        assert chosen.rank < full.rank
        return own_t(chosen, reference, events, penalty, expected) / whole

    share = kept()
    assert share.min() > 1 - 2.5 * tolerance  # 2 for the directions, the rest for thinned centres
    assert share.max() < 1 + 0.5 * tolerance
    monkeypatch.setattr(rank, "_of_single_events", lambda rotated, *_: (torch.zeros(rotated.rank),) * 2)
    monkeypatch.setattr(rank, "SIGMAS", 0.0)
    assert kept()[:8].min() < 1 - 2.5 * tolerance  # by the mean shift of the null alone they would be lost


def test_a_handful_of_events_is_enough_to_choose() -> None:
    rng = np.random.default_rng(5)
    full = make_map(mixture(rng, 10), 0.5)
    for n in (1, 2, 12):
        assert 1 <= choose_rank(full, mixture(rng, n), np.ones(n), 5.0, 1e-6, 0.01).rank <= full.rank
    assert choose_rank(full, mixture(rng, 12), np.ones(12), 5.0, 1e-12, 1e-6).rank == full.rank
