from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.errors import NotEnoughEventsError, OverlapError, UnknownProcessError
from unseen.events import ADC2021, Events
from unseen.pools import assert_disjoint, draw_pools, plan_pools

MIXTURE = {"w": 0.6, "qcd": 0.4}
SIZES = {"settings": 50, "reference": 200, "toys": 100}


def _plan(seed: int, signal: tuple[str, int] | None = ("ato4l", 7)) -> object:
    return plan_pools(
        MIXTURE, SIZES, train=100, train_mixture={"w": 0.5, "qcd": 0.5}, expected=40.0, signal=signal, seed=seed
    )


def _events(n: int, copies: int = 1) -> Events:
    objects = np.zeros((n, 19, 3), np.float32)
    objects[:, 0, 0] = np.arange(n)
    present = np.zeros((n, 19), bool)
    present[:, 0] = True
    label = np.arange(n) % 3
    source = np.arange(n) if copies == 1 else np.arange(n) // copies
    names = ("w", "qcd", "ato4l")
    return Events.create(ADC2021, objects, present, label=label, label_names=names, record={"source": source})


def test_the_plan_is_fixed_by_the_seed() -> None:
    assert _plan(1) == _plan(1)
    assert _plan(1) != _plan(2)


def test_pool_sizes_and_signal() -> None:
    plan = _plan(1)
    for name, size in SIZES.items():
        assert sum(plan.test[name].values()) == size
    assert plan.test["data"]["ato4l"] == 7
    assert plan.train == {"w": 50, "qcd": 50}
    assert "ato4l" not in _plan(1, None).test["data"]


def test_the_data_count_is_poisson_and_the_composition_multinomial() -> None:
    plans = [_plan(seed, None) for seed in range(400)]
    counts = np.array([sum(plan.test["data"].values()) for plan in plans])
    # Index of dispersion: (n - 1) s^2 / mean is chi-squared with n - 1 degrees of freedom for Poisson counts.
    dispersion = (len(counts) - 1) * counts.var(ddof=1) / counts.mean()
    assert 1e-4 < stats.chi2.cdf(dispersion, len(counts) - 1) < 1 - 1e-4
    w = np.array([plan.test["reference"]["w"] for plan in plans])
    scaled = (len(w) - 1) * w.var(ddof=1) / (200 * 0.6 * 0.4)
    assert 1e-4 < stats.chi2.cdf(scaled, len(w) - 1) < 1 - 1e-4


def test_pools_are_disjoint_and_labelled() -> None:
    events = _events(1500)
    pools = draw_pools(events, _plan(1).test, seed=1)
    sources = np.concatenate([pool.record["source"] for pool in pools.values()])
    assert len(np.unique(sources)) == len(sources)
    assert (pools["data"].label == 2).sum() == 7
    again = draw_pools(events, _plan(1).test, seed=1)
    assert all(pools[name] == again[name] for name in pools)


def test_copies_never_enter_a_pool_twice() -> None:
    events = _events(1500, copies=3)
    pools = draw_pools(events, {"a": {"w": 300}, "b": {"w": 200}}, seed=1)
    sources = np.concatenate([pool.record["source"] for pool in pools.values()])
    assert len(np.unique(sources)) == 500
    with pytest.raises(NotEnoughEventsError, match="500 independent events"):
        draw_pools(events, {"a": {"w": 300}, "b": {"w": 201}}, seed=1)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UnknownProcessError, match="did you mean 'qcd'"):
        draw_pools(_events(30), {"a": {"qdc": 3}}, seed=1)
    with pytest.raises(NotEnoughEventsError, match="a 8, b 4"):
        draw_pools(_events(30), {"a": {"w": 8}, "b": {"w": 4}}, seed=1)


def test_shared_events_are_refused() -> None:
    events = _events(30)
    with pytest.raises(OverlapError, match="'a' and 'b' share 5"):
        assert_disjoint({"a": events[:20], "b": events[15:]})
    assert_disjoint({"a": events[:15], "b": events[15:]})
