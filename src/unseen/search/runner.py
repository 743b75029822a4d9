"""What the search asks of workers elsewhere: `unseen.workers.Workers` is one such, and so is anything like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["Runner"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Runner(Protocol):
    """Does jobs in parallel, in threads, processes, or on other machines."""

    @property
    def count(self) -> int:
        """How many jobs are done at the same time; no result depends on it."""

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        *,
        shared: Any = None,
    ) -> None:
        """Do `task(job, shared)` for all jobs, in any order, each at least once.

        `finished(job, result)` is called once for each in this thread; the first error of a job is raised. `shared` is
        the same object for all jobs, sent once to each worker also when it is given to several runs. Task, jobs,
        results and `shared` can be pickled.
        """
