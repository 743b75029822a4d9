"""One worker: this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from unseen.workers.loop import nothing

__all__ = ["Serial"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Serial:
    """Does one job after the other, here."""

    count = 1

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        report: Callable[[], None] = nothing,
        shared: Any = None,
    ) -> None:
        """Do all jobs in order."""
        report()
        for job in jobs:
            finished(job, task(job, shared))
            report()
