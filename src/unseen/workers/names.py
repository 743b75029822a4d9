"""What can be said after --cluster, and whether this machine can do it; looked at before any work is started."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from unseen.errors import ClusterError, MissingExtraError, MissingFileError, UnknownNameError, did_you_mean

__all__ = ["CLUSTERS", "check_cluster", "cores", "is_address"]

# Name and the command that hands jobs to the batch system.
BATCH = {"slurm": "sbatch", "htcondor": "condor_submit"}
CLUSTERS = ("local", *BATCH)


def cores() -> int:
    """Cores that this process may use: a batch slot has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_address(cluster: str) -> bool:
    """Whether this is the address of a scheduler, such as tcp://host:8786."""
    return "://" in cluster


def check_cluster(cluster: str | None, count: int | None) -> None:
    """Refuse what cannot work; None is this machine, with nothing to check.

    Errors: UnknownNameError, MissingFileError, MissingExtraError, ClusterError.
    """
    if cluster is None:
        return
    if cluster not in CLUSTERS and not is_address(cluster):
        _check_file(cluster)
    _require_extra("distributed")
    if cluster in BATCH:
        _require_extra("dask_jobqueue")
        _check_batch(cluster, count)


def _check_file(cluster: str) -> None:
    if Path(cluster).is_file():
        return
    if cluster.endswith(".json"):
        raise MissingFileError(
            f"--cluster {cluster}: no such scheduler file; 'dask scheduler --scheduler-file {cluster}' writes it"
        )
    raise UnknownNameError(
        f"--cluster '{cluster}' is unknown{did_you_mean(cluster, CLUSTERS)}; the address (tcp://host:8786) or "
        "scheduler file of a Dask scheduler will do, too"
    )


def _require_extra(module: str) -> None:
    try:
        found = find_spec(module) is not None
    except ValueError:  # the module was blocked
        found = False
    if not found:
        raise MissingExtraError(f"--cluster needs {module}: pip install 'unseen[cluster]'")


def _check_batch(cluster: str, count: int | None) -> None:
    import dask
    import dask_jobqueue  # noqa: F401  # brings the defaults of its settings

    command = BATCH[cluster]
    if count is None:
        raise ClusterError(f"--cluster {cluster} needs the number of workers: add e.g. --workers 100")
    settings = [dask.config.get(f"jobqueue.{cluster}.{key}", None) for key in ("cores", "memory")]
    if None in settings:
        raise ClusterError(
            f"--cluster {cluster}: the size of a batch job is not set; write e.g. "
            f"'jobqueue: {{{cluster}: {{cores: 1, memory: 2GB}}}}' to ~/.config/dask/jobqueue.yaml"
        )
    if shutil.which(command) is None:
        raise ClusterError(
            f"--cluster {cluster}: there is no command '{command}' here; start this on a machine that can submit jobs, "
            "or leave --cluster out to use the cores of this one"
        )
