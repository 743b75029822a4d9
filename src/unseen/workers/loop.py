"""The loop that all parallel workers share: keep them supplied, take what ends, hand lost jobs out again."""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

__all__ = ["Lost", "Submitted", "nothing", "run_jobs", "spoken"]

POLL_SECONDS = 1.0
# Jobs handed out for each worker: one at work, the next at hand. Not all at once: a million jobs in flight are memory
# and a slow scheduler.
AHEAD = 3

Job = TypeVar("Job")
Result = TypeVar("Result")


class Lost(Exception):  # noqa: N818  # no error: the job is done again
    """The worker of a job died before it could report."""


class Submitted(Protocol):
    """What the futures of the standard library and of Dask have in common."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call `fn` with this when it has ended."""

    def cancel(self) -> Any:
        """Do not start, if not started yet."""


def nothing() -> None:
    """Report to nobody."""


def spoken(job: object) -> str:
    """A job in a message."""
    return textwrap.shorten(str(job), 100, placeholder=" (shortened)")


def run_jobs(
    jobs: Sequence[Job],
    finished: Callable[[Job, Result], None],
    report: Callable[[], None],
    *,
    count: Callable[[], int],
    submit: Callable[[Job], Submitted],
    collect: Callable[[Job, Any], Result],
    fetch: Callable[[list[Any]], object] = len,
) -> None:
    """Do all jobs on `count()` workers.

    `submit(job)` hands one out; `collect(job, future)` returns its result, raises its error, or raises Lost if it must
    be done again; `fetch(futures)` is told before which ones will be collected. Whatever is not started when this ends
    by an error is cancelled.
    """
    waiting = deque(jobs)
    pending: dict[int, tuple[Job, Submitted]] = {}
    ended: SimpleQueue[Submitted] = SimpleQueue()
    report()
    try:
        while waiting or pending:
            while waiting and len(pending) < AHEAD * count():
                future = submit(waiting[0])
                pending[id(future)] = (waiting.popleft(), future)
                future.add_done_callback(ended.put)
            fetch(ready := _all_in(ended))
            for future in ready:
                job, _ = pending.pop(id(future))
                try:
                    result = collect(job, future)
                except Lost:
                    waiting.appendleft(job)
                else:
                    finished(job, result)
            report()
    finally:
        for _, future in pending.values():
            future.cancel()


def _all_in(ended: SimpleQueue[Submitted]) -> list[Submitted]:
    """What has ended by now; waits up to a second for the first."""
    found: list[Submitted] = []
    try:
        found.append(ended.get(timeout=POLL_SECONDS))
        while True:
            found.append(ended.get_nowait())
    except Empty:
        return found
