"""Jobs on the threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import torch

__all__ = ["Threads"]

POLL_SECONDS = 1.0


class Threads:
    """Workers that share this process's memory: right for jobs that spend their time in torch and numpy.

    Each has one thread inside torch, so that a job's result is the one that any other kind of worker gets.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def run(
        self,
        task: Callable[..., Any],
        jobs: Sequence[Any],
        finished: Callable[[Any, Any], None],
        report: Callable[[], None] = lambda: None,
        shared: Any = None,
    ) -> None:
        """Do all jobs as `task(job, shared)`; `finished(job, result)` is called in this thread as each ends.

        The first error ends the run: jobs that have not started are dropped, those that have are waited for.
        """
        before = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.count, "unseen-job", torch.set_num_threads, (1,))
        try:
            pending: dict[Future[Any], Any] = {pool.submit(task, job, shared): job for job in jobs}
            report()
            while pending:
                ready, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in ready:
                    finished(pending.pop(future), future.result())
                report()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(before)
