"""Workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import cloudpickle
from distributed import Client
from distributed.scheduler import KilledWorker

from unseen.errors import ClusterError, WorkerLostError, WorkerVersionError
from unseen.workers import inside
from unseen.workers import versions as versions_module
from unseen.workers.loop import Lost, nothing, run_jobs, spoken
from unseen.workers.versions import compare, versions

__all__ = ["DaskWorkers"]

CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)
CONNECTION_LOST = (OSError, TimeoutError, *CANCELLED)
# Times that a job may be cancelled because the workers died that held what it needed.
MOST_LOSSES = 3
# How long a run goes on without a single worker before it gives up, where no batch system will start any.
PATIENCE_SECONDS = 300.0
WATCH_SECONDS = 1.0

Job = TypeVar("Job")
Result = TypeVar("Result")


class DaskWorkers:
    """The workers of a connected client.

    `expected` is the number that was asked for, None to take those that there are; with `patient` jobs may wait for
    workers as long as it takes, as in a batch system's queue.
    """

    def __init__(self, client: Client, expected: int | None = None, *, patient: bool = False):
        self._client, self._expected, self._patient = client, expected, patient
        self._versions = versions()
        self._shared: tuple[Any, Any] = (None, None)
        self._results: dict[int, Any] = {}
        self._lost: Counter[str] = Counter()
        self._present = 0
        self._watched = self._seen = 0.0
        self.check()

    @property
    def count(self) -> int:
        """How many jobs are done at the same time."""
        return self._expected or max(1, self._present)

    def check(self) -> None:
        """WorkerVersionError if a worker has other versions, ClusterError if one runs several jobs in one process."""
        # Python first: what follows is code, which another one may not understand.
        known = self._client.get_versions()["workers"]
        compare(
            {"python": self._versions["python"]},
            {name: {"python": ".".join(info["host"]["python"].split(".")[:2])} for name, info in known.items()},
        )
        # By value: workers without this package shall answer, too.
        cloudpickle.register_pickle_by_value(versions_module)
        try:
            answers = self._client.run(versions, on_error="return")
        finally:
            cloudpickle.unregister_pickle_by_value(versions_module)
        for name, answer in answers.items():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # not one that has just died
                raise WorkerVersionError(f"the worker {name} cannot say its versions: {answer!r}") from answer
        compare(self._versions, {name: answer for name, answer in answers.items() if isinstance(answer, dict)})
        threads = self._client.nthreads()
        for address, n in threads.items():
            if n > 1:
                raise ClusterError(
                    f"the worker {address} has {n} threads, but one process does one job at a time: start workers with "
                    "'dask worker ADDRESS --nworkers N --nthreads 1'"
                )
        self._present, self._seen = len(threads), time.monotonic()

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        report: Callable[[], None] = nothing,
        shared: Any = None,
    ) -> None:
        """Do all jobs, as `Workers.run` says. Dask gives the jobs of a worker that died to others, in any order."""

        def watch() -> None:
            self._watch()
            report()

        self._lost.clear()
        submit = partial(self._submit, task, shared)
        run_jobs(
            jobs,
            finished,
            watch,
            count=lambda: self.count,
            submit=submit,
            collect=self._collect,
            fetch=self._fetch,
        )

    def _submit(self, task: Callable[[Any, Any], Any], shared: Any, job: Any) -> Any:
        # Bytes, so that Dask does not look for futures inside; a task of the main script is pickled by value.
        payload = cloudpickle.dumps((task, job))
        key = f"unseen-{task.__name__}-{uuid4().hex}"
        try:
            data = self._scattered(shared)
            return self._client.submit(inside.perform, payload, self._versions, data, key=key, pure=False)
        except CONNECTION_LOST as error:
            raise self._gone() from error

    def _scattered(self, shared: Any) -> Any:
        """What all jobs share, on every worker; those that join later fetch it from the others."""
        if shared is None:
            return None
        kept, data = self._shared
        if kept is not shared or data.status != "finished":
            self._wait_for_a_worker()
            # No hash as its name: another client's copy with the same name could be released under our feet.
            data = self._client.scatter([shared], broadcast=True, hash=False)[0]
            self._shared = (shared, data)
        return data

    def _wait_for_a_worker(self) -> None:
        """As long as it takes in a queue: what all jobs share has nowhere to go before."""
        self._watched = 0.0
        self._watch()
        while not self._present:
            time.sleep(WATCH_SECONDS)
            self._watch()

    def _fetch(self, futures: list[Any]) -> None:
        """Get results together: the way to the workers costs more than they do."""
        good = [future for future in futures if future.status == "finished"]
        self._results = {}
        if len(good) < len(futures):
            return  # something ended badly, perhaps the scheduler: look at each
        try:
            self._results = dict(zip(map(id, good), self._client.gather(good), strict=True))
        except (Exception, *CANCELLED):  # whose it is, and what, is found one by one
            return

    def _collect(self, job: object, future: Any) -> Any:
        if id(future) in self._results:
            return self._results.pop(id(future))
        try:
            return future.result()
        except KilledWorker as error:
            raise WorkerLostError(
                f"the job '{spoken(job)}', or one beside it, was given to {error.allowed_failures + 1} workers and all "
                "of them died: most often memory is short, so give each worker more or start fewer; the workers' logs "
                "say more. What was finished is kept"
            ) from error
        except CANCELLED as error:
            if self._client.status != "running" or "connection-lost" in str(error):
                raise self._gone() from error
            raise self._again(job) from error
        except (ImportError, AttributeError):
            self.check()  # a worker that came later and has another unseen
            raise

    def _again(self, job: object) -> Exception:
        """What is to be raised for a job that needed what was only on workers that died."""
        self._lost[name := spoken(job)] += 1
        if self._lost[name] <= MOST_LOSSES:
            return Lost()
        return WorkerLostError(
            f"all workers died {self._lost[name]} times while the job '{name}' waited or ran: most often memory is "
            "short, so give each worker more. What was finished is kept"
        )

    def _watch(self) -> None:
        """Once a second: count the workers; ClusterError if scheduler or workers are gone."""
        now = time.monotonic()
        if now - self._watched < WATCH_SECONDS:
            return
        try:
            self._present = len(self._client.nthreads())
        except CONNECTION_LOST as error:
            raise self._gone() from error
        self._watched = time.monotonic()
        if self._present:
            self._seen = self._watched
        elif not self._patient and self._watched - self._seen > PATIENCE_SECONDS:
            raise ClusterError(f"the cluster has had no worker for {PATIENCE_SECONDS:.0f} s: start some and run again")

    def _gone(self) -> ClusterError:
        return ClusterError("the connection to the Dask scheduler was lost; what was finished is kept: run again")
