"""Jobs on the threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

from unseen.workers.loop import nothing, run_jobs

__all__ = ["Threads"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Threads:
    """Workers that share this process's memory: right for jobs that spend their time in torch and numpy.

    Each has one thread inside the libraries, so that a job's result is the one that any other kind of worker gets.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        report: Callable[[], None] = nothing,
        shared: Any = None,
    ) -> None:
        """Do all jobs; after an error those that have started are waited for."""
        before = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.count, "unseen-job", _single_threaded)
        try:
            with threadpool_limits(1):
                run_jobs(
                    jobs,
                    finished,
                    report,
                    count=lambda: self.count,
                    submit=lambda job: pool.submit(task, job, shared),
                    collect=_result,
                )
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(before)


def _single_threaded() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="openmp")  # counts for each thread; that of BLAS for all


def _result(job: object, future: Future[Result]) -> Result:
    return future.result()
