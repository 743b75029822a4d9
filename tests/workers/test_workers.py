"""The contract of all kinds of workers, with real processes and a real local cluster."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import process as futures_of_processes
from contextlib import ExitStack
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers import tasks
from unseen import errors
from unseen.errors import ConfigError, DiskSpaceError, WorkerLostError
from unseen.workers import Workers, workers
from unseen.workers.processes import Processes

KINDS = {"serial": (None, 1), "processes": (None, 2), "dask": ("local", 2)}


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], Workers]]:
    """Workers of a kind, opened once."""
    with ExitStack() as stack:

        @cache
        def open_workers(kind: str) -> Workers:
            return stack.enter_context(workers(*KINDS[kind], serial=True))

        yield open_workers


@pytest.fixture(params=KINDS)
def pool(request: pytest.FixtureRequest, opened: Callable[[str], Workers]) -> Workers:
    return opened(request.param)


@pytest.fixture(params=["processes", "dask"])
def parallel(request: pytest.FixtureRequest, opened: Callable[[str], Workers]) -> Workers:
    return opened(request.param)


def test_every_job_is_done_once_with_what_all_share(pool: Workers) -> None:
    for n in (10, 11):
        done: list[tuple[int, float]] = []
        shared = np.arange(float(n))
        pool.run(tasks.scaled_sum, range(30), lambda job, result, done=done: done.append((job, result)), shared=shared)
        assert sorted(done) == [(job, job * shared.sum()) for job in range(30)]
    pool.run(tasks.square, [], lambda job, result: pytest.fail("nothing to do"))


def test_reports_come_before_between_and_after(pool: Workers) -> None:
    done: list[int] = []
    seen: list[int] = []
    pool.run(tasks.square, range(5), lambda job, result: done.append(job), lambda: seen.append(len(done)))
    assert (seen[0], seen[-1]) == (0, 5)


def test_an_error_ends_the_run_with_its_type_and_the_pool_goes_on(pool: Workers) -> None:
    done: list[int] = []
    with pytest.raises(ConfigError, match=r"^seven is not allowed; use eight$"):
        pool.run(tasks.refuse_seven, range(1000), lambda job, result: done.append(job))
    assert len(done) < 100
    pool.run(tasks.refuse_seven, [8], lambda job, result: done.append(job))
    assert done[-1] == 8


def test_a_full_disk_is_named(parallel: Workers, tmp_path: Path) -> None:
    with pytest.raises(DiskSpaceError, match=rf"no space left on \S+ while writing {tmp_path}/5"):
        parallel.run(tasks.fill_the_disk, [5], lambda job, result: None, shared=str(tmp_path))


def test_an_error_that_cannot_be_pickled_still_arrives(parallel: Workers) -> None:
    with pytest.raises(RuntimeError, match="StubbornError: 4 and 4"):
        parallel.run(tasks.refuse_stubbornly, [4], lambda job, result: None)


def test_jobs_are_done_in_other_processes(parallel: Workers) -> None:
    numbers: set[int] = set()
    parallel.run(tasks.process_number, range(12), lambda job, number: numbers.add(number))
    assert len(numbers) == 2
    assert os.getpid() not in numbers


def test_a_killed_worker_loses_nothing(parallel: Workers, tmp_path: Path) -> None:
    done: dict[int, int] = {}
    parallel.run(tasks.die_once, range(12), done.__setitem__, shared=str(tmp_path))
    assert (tmp_path / "died").exists()
    assert done == {job: job * job for job in range(12)}


@pytest.mark.parametrize("cluster", [None, "local"])
def test_the_only_worker_is_killed_and_with_it_what_all_share(cluster: str | None, tmp_path: Path) -> None:
    done: dict[int, int] = {}
    with workers(cluster, 1) as pool:
        pool.run(tasks.die_once, range(6), done.__setitem__, shared=str(tmp_path))
    assert (tmp_path / "died").exists()
    assert done == {job: job * job for job in range(6)}


def test_a_job_that_always_kills_its_worker_is_named(parallel: Workers) -> None:
    with pytest.raises(WorkerLostError, match=r"'\d'.*memory is short"):
        parallel.run(tasks.always_die, range(5), lambda job, result: None)
    done: list[int] = []
    parallel.run(tasks.square, range(5), lambda job, result: done.append(result))
    assert sorted(done) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("place", "processes"), [("_WorkItem", 2), ("ProcessPoolExecutor._spawn_process", 1)])
def test_a_job_handed_in_while_the_pool_breaks_is_done_again(
    monkeypatch: pytest.MonkeyPatch, place: str, processes: int
) -> None:
    """Up to Python 3.11 a pool can break inside `submit`: before it knows the job, or while it starts a process."""
    original = attrgetter(place)(futures_of_processes)
    broken: list[ProcessPoolExecutor] = []

    def breaks_before(*arguments: Any) -> Any:
        pool = mine._pool
        if len(pool._processes) == processes and not broken:
            broken.append(pool)
            next(iter(pool._processes.values())).kill()
            queue: Any = pool._call_queue
            while not queue._reader.closed:
                time.sleep(0.01)
        return original(*arguments)

    done: list[int] = []
    with workers(None, 2) as mine:
        assert isinstance(mine, Processes)
        monkeypatch.setattr(f"concurrent.futures.process.{place}", breaks_before)
        mine.run(tasks.slow_square, range(5), lambda job, result: done.append(result), shared=0.01)
    assert len(broken) == 1
    assert sorted(done) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_named_error_survives_the_way_between_processes(name: str) -> None:
    kind = getattr(errors, name)
    copy = pickle.loads(pickle.dumps(kind("what, where and how")))
    assert type(copy) is kind
    assert str(copy) == "what, where and how"
