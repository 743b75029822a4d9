"""What runs inside a worker process. Light: what it imports is loaded before a worker is told to use one thread."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from unseen.errors import DiskSpaceError, UnseenError

__all__ = ["call", "perform", "start"]

WATCH_SECONDS = 2.0


def start(parent: int, scratch: str) -> None:
    """Begin a process of a pool: Ctrl-C is the parent's to handle, and a worker ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use_one_thread()
    threading.Thread(target=_end_with, args=(parent, scratch), daemon=True).start()


def _end_with(parent: int, scratch: str) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    shutil.rmtree(scratch, ignore_errors=True)  # a parent that was killed could not
    os._exit(1)


@lru_cache(maxsize=1)
def _use_one_thread() -> None:
    """Jobs share the cores, not the work of one job; once per process."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@lru_cache(maxsize=1)
def _loaded(path: str) -> Any:
    """What all jobs share, read once per process."""
    return pickle.loads(Path(path).read_bytes())


def call(task: Callable[[Any, Any], Any], job: Any, shared: str | None) -> Any:
    """Do a job in a process of this machine; `shared` is the file of what all jobs share."""
    return _guarded(task, job, None if shared is None else _loaded(shared))


def perform(payload: bytes, versions: dict[str, str], shared: Any) -> Any:
    """Do a job, pickled with its task, on a cluster; first see that this worker has the client's `versions`."""
    _use_one_thread()
    _check(tuple(sorted(versions.items())))
    task, job = pickle.loads(payload)
    return _guarded(task, job, shared)


@lru_cache(maxsize=4)
def _check(wanted: tuple[tuple[str, str], ...]) -> None:
    from unseen.workers.versions import compare, versions

    compare(dict(wanted), {f"the worker on {os.uname().nodename}": versions()})


def _guarded(task: Callable[[Any, Any], Any], job: Any, shared: Any) -> Any:
    """Do a job; what it raises can be sent to the parent."""
    try:
        return task(job, shared)
    except Exception as error:
        portable = _portable(error)
        if portable is error:
            raise
        raise portable from error


def _is_full(error: OSError) -> bool:
    from unseen.events.atomic import FULL  # brings numpy and HDF5

    return error.errno in FULL


def _portable(error: Exception) -> Exception:
    """The error itself, a DiskSpaceError for a full disk, or an error that says the same and can be pickled."""
    if isinstance(error, OSError) and _is_full(error):
        place = error.filename or os.getcwd()
        return DiskSpaceError(f"no space left on {os.uname().nodename} while writing {place}: free some and rerun")
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = None
    if type(copy) is type(error):
        return error
    kind = UnseenError if isinstance(error, UnseenError) else RuntimeError
    return kind(f"{type(error).__name__}: {error}")
