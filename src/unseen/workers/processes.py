"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import count as count_from_zero
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from unseen.errors import WorkerLostError
from unseen.events.atomic import disk_space_guard
from unseen.workers import inside
from unseen.workers.loop import Lost, nothing, run_jobs, spoken

__all__ = ["Processes"]

# Times in a row that a pool may break without a job being finished in between.
MOST_LOSSES = 3

Job = TypeVar("Job")
Result = TypeVar("Result")


class Processes:
    """Spawned processes, one thread each, that end with the block that they were opened in."""

    def __init__(self, count: int):
        self.count = count
        self._scratch = TemporaryDirectory(prefix="unseen-")
        self._pool = self._new_pool()
        self._shared: tuple[Any, str | None] = (None, None)
        self._numbers = count_from_zero()
        self._losses = 0

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned, because Pythia, HDF5 and torch do not survive a fork in every state.
        return ProcessPoolExecutor(
            self.count,
            mp_context=get_context("spawn"),
            initializer=inside.start,
            initargs=(os.getpid(), self._scratch.name),
        )

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _end(self._pool, at_once=kind is not None)
        self._scratch.cleanup()

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        report: Callable[[], None] = nothing,
        shared: Any = None,
    ) -> None:
        """Do all jobs, as `Workers.run` says.

        A worker that dies takes its pool with it (the standard library cannot tell which job it had). The jobs that
        had not reported are done again by a new pool; a shard that was written but not reported is written again, to
        the same bytes. Errors: WorkerLostError when that happens again and again, DiskSpaceError (`shared`).
        """
        self._losses = 0
        submit = partial(self._submit, task, self._stored(shared))
        run_jobs(jobs, finished, report, count=lambda: self.count, submit=submit, collect=self._collect)

    def _stored(self, shared: Any) -> str | None:
        """The file of what all jobs share; each worker reads it once."""
        if shared is None or shared is self._shared[0]:
            return None if shared is None else self._shared[1]
        path = Path(self._scratch.name) / f"shared-{next(self._numbers)}"
        with disk_space_guard(path), path.open("wb") as file:
            pickle.dump(shared, file, protocol=pickle.HIGHEST_PROTOCOL)
        if self._shared[1] is not None:
            Path(self._shared[1]).unlink()
        self._shared = (shared, str(path))
        return str(path)

    def _submit(self, task: Callable[[Any, Any], Result], shared: str | None, job: Any) -> Future[Result]:
        while True:
            try:
                return self._pool.submit(inside.call, task, job, shared)
            except BrokenProcessPool as error:
                self._replace(job, error)

    def _replace(self, job: object, error: BrokenProcessPool) -> None:
        """A new pool for a broken one. A job that comes back is at the head of the queue: it is the suspect."""
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise WorkerLostError(
                f"worker processes died {self._losses} times in a row, last while doing '{spoken(job)}' or a job "
                "beside it: most often memory is short, so use fewer (--workers 1); a script that starts this needs "
                "'if __name__ == \"__main__\":'. What was finished is kept"
            ) from error
        _end(self._pool, at_once=True)
        self._pool = self._new_pool()

    def _collect(self, job: object, future: Future[Result]) -> Result:
        try:
            result = future.result()
        except BrokenProcessPool as error:
            raise Lost from error
        self._losses = 0
        return result


def _end(pool: ProcessPoolExecutor, at_once: bool) -> None:
    """End a pool; `at_once` in the middle of what its processes are doing."""
    processes = list((pool._processes or {}).values()) if at_once else []
    pool.shutdown(wait=not at_once, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
