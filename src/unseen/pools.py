"""Which simulated event goes into which pool: planned from the seed, drawn without replacement, asserted disjoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unseen.errors import NotEnoughEventsError, OverlapError, UnknownProcessError, did_you_mean
from unseen.events import Events
from unseen.seeds import generator

__all__ = ["PoolPlan", "assert_disjoint", "draw_pools", "first_rows", "plan_pools", "planned_training"]

Counts = dict[str, int]


@dataclass(frozen=True)
class PoolPlan:
    """Events per pool and process. The counts are random (multinomial, Poisson) but fixed by the seed."""

    train: Counts
    test: Mapping[str, Counts]

    @property
    def test_total(self) -> Counts:
        """Events of each process that all the test pools need together."""
        names = sorted({name for counts in self.test.values() for name in counts})
        return {name: sum(counts.get(name, 0) for counts in self.test.values()) for name in names}


def plan_pools(
    mixture: Mapping[str, float],
    sizes: Mapping[str, int],
    *,
    train: int,
    train_mixture: Mapping[str, float],
    expected: float | None,
    signal: tuple[str, int] | None,
    seed: int,
    last: Mapping[str, int] | None = None,
) -> PoolPlan:
    """Draw how many events of each process every pool gets.

    Pools are samples of one population: their composition is multinomial, not fixed, so that reference, toys and data
    are exchangeable. The data pool has Poisson(expected) background events plus the signal; with expected None there is
    no data pool. Pools `last` are drawn after all others, which do not depend on them.
    Training is stratified: its shares are a choice, not a population.
    """
    rng = generator(seed, "pools", "plan")
    test = {name: _multinomial(rng, size, mixture) for name, size in sizes.items()}
    if expected is not None:
        data = _multinomial(rng, int(rng.poisson(expected)), mixture)
        if signal is not None:
            data[signal[0]] = data.get(signal[0], 0) + signal[1]
        test["data"] = data
    test |= {name: _multinomial(rng, size, mixture) for name, size in (last or {}).items()}
    return PoolPlan(planned_training(train, train_mixture), test)


def planned_training(train: int, mixture: Mapping[str, float]) -> Counts:
    """How many of the training events are of each process."""
    return {name: round(share * train) for name, share in sorted(mixture.items())}


def _multinomial(rng: np.random.Generator, size: int, mixture: Mapping[str, float]) -> Counts:
    names = sorted(mixture)  # the order in which a configuration lists its processes must not matter
    shares = np.array([mixture[name] for name in names]) / sum(mixture.values())
    return dict(zip(names, rng.multinomial(size, shares).tolist(), strict=True))


def draw_pools(events: Events, plan: Mapping[str, Counts], seed: int) -> dict[str, Events]:
    """Split events into pools: each process is shuffled once and dealt out; each pool is shuffled again.

    Only the first row of every generated event (`record["source"]`) is used, so a pool never holds copies.
    Errors: UnknownProcessError, NotEnoughEventsError.
    """
    rng = generator(seed, "pools", "draw")
    unique = first_rows(events)
    rows: dict[str, list[np.ndarray]] = {pool: [] for pool in plan}
    for process in sorted({name for counts in plan.values() for name in counts}):
        if process not in events.label_names:
            raise UnknownProcessError(f"no events of process '{process}'{did_you_mean(process, events.label_names)}")
        mine = rng.permutation(unique[events.label[unique] == events.label_names.index(process)])
        needed = sum(counts.get(process, 0) for counts in plan.values())
        if needed > len(mine):
            detail = ", ".join(f"{pool} {counts.get(process, 0)}" for pool, counts in plan.items())
            raise NotEnoughEventsError(
                f"process '{process}' has {len(mine)} independent events after the selection but {needed} are needed "
                f"({detail}): provide more events or make the pools smaller"
            )
        start = 0
        for pool, counts in plan.items():
            rows[pool].append(mine[start : start + counts.get(process, 0)])
            start += counts.get(process, 0)
    pools = {pool: events[rng.permutation(np.concatenate(parts))] for pool, parts in rows.items()}
    assert_disjoint(pools)
    return pools


def first_rows(events: Events) -> np.ndarray:
    """One row of every generated event, the first."""
    if "source" not in events.record:
        return np.arange(len(events))
    return np.sort(np.unique(events.record["source"], return_index=True)[1])


def assert_disjoint(pools: Mapping[str, Events]) -> None:
    """Raise OverlapError if two pools hold rows of the same generated event."""
    names = [name for name, pool in pools.items() if "source" in pool.record]
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = np.intersect1d(pools[first].record["source"], pools[second].record["source"])
            if len(shared):
                raise OverlapError(
                    f"pools '{first}' and '{second}' share {len(shared)} generated events (source {shared[0]}): "
                    "they must be disjoint"
                )
