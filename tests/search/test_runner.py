"""Toys and second moments on workers: the bits of one process, whoever throws which, and when one is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.search.problems import mixture, small_test
from unseen.errors import MemoryBudgetError, NotEnoughEventsError
from unseen.search import (
    KernelTest,
    Null,
    SearchResult,
    evaluate,
    features,
    fitted,
    moments,
    parallel,
    precondition,
    refit,
)
from unseen.search.evaluate import perform
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.station import Station, ToyJob
from unseen.workers import Workers, workers

N = 60.0
RNG = np.random.default_rng(8)
SETTINGS, REFERENCE, POOL, DATA = (mixture(RNG, n) for n in (120, 300, 400, 62))
KINDS: dict[str, dict[str, Any]] = {
    "serial": {"cluster": None, "count": 1, "serial": True},
    "threads": {"cluster": None, "count": 3, "threads": True},
    "processes": {"cluster": None, "count": 2},
    "dask": {"cluster": "local", "count": 2},
}
# What differs in how toys are thrown and fitted; few batches of many toys, many of one, memory for some features only.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "toys": ({}, {"n_toys": 150}),
    "linear toys": ({"statistic": "linear"}, {"method": "linear", "n_toys": 300}),
    "analytic or not": ({"statistic": "linear", "widths": 1.5, "n_centers": 8}, {}),
    "yield to 5 %": ({"statistic": "one_step", "normalisation": "constrained(0.05)"}, {"n_toys": 140}),
    "shape, fixed reference": ({"normalisation": "free"}, {"n_toys": 20, "n_data": 70, "reference": "fixed"}),
    "float32": ({"precision": "mixed", "rank_tolerance": 0.01}, {"n_toys": 20}),
}


def fitted_test(**options: Any) -> KernelTest:
    return small_test(**({"n_centers": 20} | options)).fit(REFERENCE, expected=N, settings=SETTINGS)


@cache
def alone(case: str) -> tuple[Null, SearchResult | None]:
    """What one process finds."""
    return null_of(*CASES[case])


def null_of(options: dict[str, Any], how: dict[str, Any], runner: Any = None) -> tuple[Null, SearchResult | None]:
    test = fitted_test(**options)
    null = test.calibrate(POOL, runner=runner, **how)
    return null, None if null.n_data else test.search(DATA)


def same(one: tuple[Null, SearchResult | None], other: tuple[Null, SearchResult | None]) -> None:
    np.testing.assert_array_equal(one[0].t, other[0].t)
    assert one[0].calibration == other[0].calibration
    assert (one[0].reason, one[0].checks, one[1]) == (other[0].reason, other[0].checks, other[1])
    for mine, others in zip(one[0].analytic, other[0].analytic, strict=True):
        np.testing.assert_array_equal(mine.weights, others.weights)
        np.testing.assert_array_equal(mine.shifts, others.shifts)


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], Workers]]:
    """Workers of a kind, opened once."""
    with ExitStack() as stack:

        @cache
        def open_workers(kind: str) -> Workers:
            options = dict(KINDS[kind])
            return stack.enter_context(workers(options.pop("cluster"), options.pop("count"), **options))

        yield open_workers


@pytest.mark.parametrize("kind", KINDS)
def test_workers_of_every_kind_give_the_bits_of_one_process(kind: str, opened: Callable[[str], Workers]) -> None:
    for case in ("toys", "linear toys"):
        same(null_of(*CASES[case], opened(kind)), alone(case))


@pytest.mark.parametrize("case", list(CASES)[2:])
def test_processes_give_them_for_every_calibration(case: str, opened: Callable[[str], Workers]) -> None:
    same(null_of(*CASES[case], opened("processes")), alone(case))


def test_weights_and_permutations(opened: Callable[[str], Workers]) -> None:
    w, w_pool = (np.random.default_rng(seed).uniform(0.2, 1.8, n) for seed, n in ((1, 300), (2, 400)))
    nulls = []
    for runner in (None, opened("processes")):
        test = small_test().fit(REFERENCE, weights=w, expected=N, settings=SETTINGS)
        nulls.append(test.calibrate(POOL, weights=w_pool, n_toys=15, runner=runner))
        free = fitted_test(normalisation="free")
        nulls.append(free.calibrate(DATA, method="permutation", n_toys=15, runner=runner))
    np.testing.assert_array_equal(nulls[0].t, nulls[2].t)
    np.testing.assert_array_equal(nulls[1].t, nulls[3].t)


def die_once(job: Any, shared: tuple[Station, str]) -> Any:
    """Die after the work of the first batch and before its report, once."""
    station, mark = shared
    result = perform(job, station)
    if isinstance(job, ToyJob) and job.first > 0 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result


class Mortal:
    """Workers of which one is killed in the middle of the toys."""

    def __init__(self, pool: Workers, mark: Path) -> None:
        self.pool, self.mark, self.count = pool, str(mark), pool.count

    def run(self, task: Any, jobs: Sequence[Any], finished: Any, *, shared: Any = None) -> None:
        if task is perform:
            task, shared = die_once, (shared, self.mark)
        self.pool.run(task, jobs, finished, shared=shared)


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_worker_that_is_killed_changes_nothing(kind: str, opened: Callable[[str], Workers], tmp_path: Path) -> None:
    found = null_of(*CASES["toys"], Mortal(opened(kind), tmp_path / "died"))
    assert (tmp_path / "died").exists()
    same(found, alone("toys"))


class Backwards:
    """Does the jobs here, the last ones first, and keeps them."""

    def __init__(self, count: int = 1) -> None:
        self.count, self.jobs, self.shared = count, [], []

    def run(self, task: Any, jobs: Sequence[Any], finished: Any, *, shared: Any = None) -> None:
        self.jobs += jobs
        self.shared.append(shared)
        for job in reversed(jobs):
            finished(job, task(job, shared))


@pytest.mark.parametrize("count", [1, 2, 50])
def test_neither_the_order_of_jobs_nor_how_many_there_are_matters(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refit, "TOYS_PER_BATCH", 8)
    monkeypatch.setattr(features, "ROWS_PER_BLOCK", 50)
    done: list[int] = []
    runner = Backwards(count)
    test = fitted_test()
    null = test.calibrate(POOL, n_toys=60, runner=runner, progress=lambda n, total: done.append(n))
    np.testing.assert_array_equal(null.t, null_of({}, {"n_toys": 60})[0].t)
    toys = [job for job in runner.jobs if isinstance(job, ToyJob)]
    assert len(toys) == 2 * min(8, evaluate.JOBS_PER_WORKER * count)
    assert (len(done), done[-1]) == (len(toys), 120)


def test_what_workers_hold_is_sent_once_for_all_that_auto_asks() -> None:
    runner = Backwards()
    options, how = CASES["analytic or not"]
    fitted_test(**options).calibrate(POOL, runner=runner, **how)
    stations = [shared for shared in runner.shared if isinstance(shared, Station)]
    assert len(stations) > 1
    assert all(station is stations[0] for station in stations)


@pytest.mark.parametrize("budget", [0.00005, 0.0001, 0.00023, 2.0])
def test_workers_hold_what_one_process_would(budget: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which features are held decides how toys are fitted; here all kinds of them occur."""
    for module in (features, fitted):
        monkeypatch.setattr(module, "ROWS_PER_BLOCK", 50)
    monkeypatch.setattr(precondition, "SMALLEST_RANK", 20)
    seen: list[list[tuple[int, float, int, bool]]] = [[], []]
    made = refit._whitener

    def whitener(plan: Any, union: Features, recipe: Any) -> Any:
        result = made(plan, union, recipe)
        seen[-1].append((union.map.rank, union.compute.budget, union.held_bytes, result is not None))
        return result

    monkeypatch.setattr(refit, "_whitener", whitener)
    options = {"widths": (0.3, 0.5, 0.8), "memory_budget": budget}
    here = null_of(options, {"n_toys": 12})
    seen.append([])
    same(null_of(options, {"n_toys": 12}, InOrder()), here)
    assert seen[-1] == seen[-2]
    assert len(seen[-1]) == 3


class InOrder(Backwards):
    """Does the jobs here, in order."""

    def run(self, task: Any, jobs: Sequence[Any], finished: Any, *, shared: Any = None) -> None:
        for job in jobs:
            finished(job, task(job, shared))


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.05)"])
@pytest.mark.parametrize("precision", ["mixed", "float64"])
def test_second_moments_from_parts_have_the_bits_of_one_process(
    normalisation: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "ROWS_PER_BLOCK", 10)
    monkeypatch.setattr(parallel, "LONGEST_PART", 1)  # more parts than threads, as references of many millions have
    test = fitted_test(normalisation=normalisation, precision=precision)
    own: Fitted | None = test._fitted
    assert own is not None
    runner = Backwards()
    option = own.normalisation.intercept
    found = moments.second_moments(own.settings.maps, own.z, own.weights, own.compute, option, runner)
    assert len(runner.jobs) == 30
    for k, moment in enumerate(found):
        here = own.features(k, own.z).second_moment(own.tensor(own.weights))
        np.testing.assert_array_equal(moment.numpy(), here.numpy())


def test_a_job_of_second_moments_takes_its_own_rows_along() -> None:
    part = moments.Part(1, range(1, 6, 2), 50, REFERENCE, np.arange(300.0))
    state = part.__getstate__()
    assert state["z"].shape == (150, 2)
    copy = moments.Part(**state)
    np.testing.assert_array_equal(copy.own(copy.z), part.own(part.z))
    np.testing.assert_array_equal(copy.own(copy.weights), np.r_[50:100, 150:200, 250:300])


def test_faults_are_told_before_any_worker_is_asked() -> None:
    class Nobody(Backwards):
        def run(self, task: Any, jobs: Sequence[Any], finished: Any, *, shared: Any = None) -> None:
            pytest.fail("a job was handed out")

    with pytest.raises(NotEnoughEventsError, match="the pool has 50 events"):
        fitted_test().calibrate(POOL[:50], runner=Nobody())
    with pytest.raises(MemoryBudgetError, match="one block of kernel features"):
        fitted_test(memory_budget=1e-6).calibrate(POOL, runner=Nobody())


def test_parts_are_those_of_threads_until_there_are_more_blocks_than_these_can_do() -> None:
    for n in (1, 15, 16, 17, 32768):
        assert len(parallel.parts_of(n)) == min(n, 16)
    assert len(parallel.parts_of(32769)) == 17
    assert sorted(i for part in parallel.parts_of(40_000) for i in part) == list(range(40_000))
