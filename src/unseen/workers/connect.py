"""Reaching or starting a Dask cluster, and leaving nothing of it behind."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
from distributed import Client, LocalCluster

from unseen.errors import ClusterError
from unseen.workers.cluster import DaskWorkers
from unseen.workers.names import cores, is_address

__all__ = ["batch_cluster", "connected"]

CONNECT_SECONDS = 10
# A job whose workers died this many times is not given to a further one.
ALLOWED_FAILURES = 3
SETTINGS = {
    "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
    "distributed.admin.large-graph-warning-threshold": "1GB",  # a block of events is no mistake
}

# Without a dashboard Dask still serves its state, on a port that other clusters of this machine may have taken.
ANY_PORT = {"dashboard_address": "127.0.0.1:0"}


@contextmanager
def connected(cluster: str, count: int | None) -> Iterator[DaskWorkers]:
    """The workers of a cluster, whose name was checked; see `unseen.workers.workers`."""
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(SETTINGS))
        if cluster == "local":
            count = count or cores()
            client = stack.enter_context(Client(stack.enter_context(_local(count)), set_as_default=False))
        elif cluster in ("slurm", "htcondor"):
            client = stack.enter_context(_batch(cluster, count or 1))
        else:
            client = stack.enter_context(_existing(cluster))
            count = None
        yield DaskWorkers(client, count, patient=cluster in ("slurm", "htcondor"))


@contextmanager
def _local(count: int) -> Iterator[Any]:
    """Processes of this machine with one thread each, and no dashboard."""
    with TemporaryDirectory(prefix="unseen-") as scratch, dask.config.set({"temporary-directory": scratch}):
        try:
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs=ANY_PORT,
                memory_limit=0,  # as for plain processes: Dask would kill a worker that is about to finish
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(
                f"the local cluster did not start ({error}); a script that starts it needs "
                "'if __name__ == \"__main__\":'"
            ) from error
        with cluster:
            yield cluster


def _address_in(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ClusterError(
            f"{file} is not the scheduler file of a Dask scheduler ({error!r}): 'dask scheduler --scheduler-file "
            f"{file}' writes one"
        ) from error


@contextmanager
def _existing(cluster: str) -> Iterator[Any]:
    """A client of a scheduler that runs, which has at least one worker."""
    address = cluster if is_address(cluster) else _address_in(Path(cluster))
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s ({error}); start one with "
            "'dask scheduler' and workers with 'dask worker ADDRESS --nthreads 1'"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise ClusterError(
                f"the Dask scheduler at {address} has no workers: start some with "
                "'dask worker ADDRESS --nworkers N --nthreads 1'"
            ) from error
        yield client


def _batch(name: str, count: int) -> Any:
    from dask_jobqueue import HTCondorCluster, SLURMCluster

    kind = {"slurm": SLURMCluster, "htcondor": HTCondorCluster}[name]
    return batch_cluster(name, kind, count)


@contextmanager
def batch_cluster(name: str, kind: Callable[..., Any], count: int) -> Iterator[Any]:
    """A client of `count` workers in batch jobs, set up by the user's configuration of Dask."""
    # One process for each core: dask-jobqueue would put several threads in one.
    processes = dask.config.get(f"jobqueue.{name}.processes", None) or dask.config.get(f"jobqueue.{name}.cores")
    try:
        options = ANY_PORT | (dask.config.get(f"jobqueue.{name}.scheduler-options", None) or {})
        cluster = kind(processes=processes, scheduler_options=options)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(f"--cluster {name}: {error}") from error
    with cluster:
        cluster.scale(count)
        with Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """What distributed logs and warns of is either told by an error of ours or no news: workers that come and go."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(name) for name in ["distributed", *names]]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Compared by `unseen.workers.versions`.
            warnings.filterwarnings("ignore", message="Mismatched versions found")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
