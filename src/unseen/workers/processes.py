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
                future = self._pool.submit(inside.call, task, job, shared)
            except BrokenProcessPool as error:
                self._replace(job, error)
            except OSError as error:  # its queue was closed while a process was being started: see `_fail_forgotten`
                if not self._pool._broken:
                    raise
                self._replace(job, error)
            else:
                if self._pool._broken:
                    _fail_forgotten(self._pool)
                return future

    def _replace(self, job: object, error: Exception) -> None:
        """A new pool for a broken one. A job that comes back is at the head of the queue: it is the suspect."""
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise WorkerLostError(
                f"worker processes died {self._losses} times in a row, last while doing '{spoken(job)}' or a job "
                "beside it: most often memory is short, so use fewer (--workers 1); a script that starts this needs "
                "'if __name__ == \"__main__\":'. What was finished is kept"
            ) from error
        _fail_forgotten(self._pool)
        _end(self._pool, at_once=True)
        self._pool = self._new_pool()

    def _collect(self, job: object, future: Future[Result]) -> Result:
        try:
            result = future.result()
        except BrokenProcessPool as error:
            raise Lost from error
        self._losses = 0
        return result


def _fail_forgotten(pool: ProcessPoolExecutor) -> None:
    """Fail the jobs that a broken pool still holds as if it could do them.

    Up to Python 3.11 a pool breaks without the lock that `submit` holds. A job handed in at that moment may never
    hear of it (its future would be waited for without end), and a process started at that moment is never ended.
    """
    for process in list((pool._processes or {}).values()):
        process.terminate()
    manager: Any = pool._executor_manager_thread  # None after a shutdown
    if manager is not None:
        manager.join()
    for item in list(pool._pending_work_items.values()):
        if not item.future.done():
            item.future.set_exception(BrokenProcessPool("the pool broke while this job was handed in"))


def _end(pool: ProcessPoolExecutor, at_once: bool) -> None:
    """End a pool; `at_once` in the middle of what its processes are doing."""
    processes = list((pool._processes or {}).values()) if at_once else []
    pool.shutdown(wait=not at_once, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
