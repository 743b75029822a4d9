"""The one interface for parallel work, and the choice of what stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from unseen.workers.loop import nothing
from unseen.workers.names import check_cluster, cores
from unseen.workers.serial import Serial

__all__ = ["Task", "Workers", "workers"]

Job = TypeVar("Job")
Result = TypeVar("Result")
# A module-level function of a job and of what all jobs share.
Task = Callable[[Job, Any], Result]


class Workers(Protocol):
    """Does jobs in parallel; ends with the block that it was opened in, however that ends."""

    @property
    def count(self) -> int:
        """How many jobs are done at the same time."""

    def run(
        self,
        task: Callable[[Job, Any], Result],
        jobs: Sequence[Job],
        finished: Callable[[Job, Result], None],
        report: Callable[[], None] = nothing,
        shared: Any = None,
    ) -> None:
        """Do `task(job, shared)` for all jobs.

        `finished` is called in this process as each job ends, in any order, and `report` at least once a second.
        `shared` is sent once to each worker, also when it is given to several runs, and must not be changed. The first
        error that a job raises ends the run: the rest is cancelled, and the error arrives with its type. A job whose
        worker died is done again, so a task must give the same when it is repeated. Jobs and results are small and can
        be pickled; `task` is a function of a module.
        Errors: those of the task, WorkerLostError, ClusterError, WorkerVersionError.
        """


@contextmanager
def workers(
    cluster: str | None, count: int | None, *, serial: bool = False, threads: bool = False
) -> Iterator[Workers]:
    """Open `count` workers (default: one for each core, or those that a cluster has).

    `cluster`: None for processes on this machine; "local" for a Dask cluster of such processes; "slurm" or "htcondor"
    for workers in batch jobs; or the address (tcp://host:port) or scheduler file of a Dask cluster that runs. With
    `serial` a single worker on this machine is this process itself, with all its threads; with `threads` workers on
    this machine are threads of this process, for jobs that share much memory and leave Python to itself.
    Errors: ClusterError, MissingExtraError, MissingFileError, UnknownNameError, WorkerVersionError.
    """
    if cluster is None and serial and count == 1:
        yield Serial()
    elif cluster is None and threads:
        from unseen.workers.threads import Threads

        yield Threads(count or cores())
    elif cluster is None:
        from unseen.workers.processes import Processes

        with Processes(count or cores()) as pool:
            yield pool
    else:
        check_cluster(cluster, count)
        from unseen.workers.connect import connected

        with connected(cluster, count) as distributed:
            yield distributed
