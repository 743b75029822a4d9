"""What runs inside a worker process."""

from __future__ import annotations

import os
import signal
import threading
import time

from unseen.events import ShardInfo
from unseen.simulate.jobs import LibraryJob, ShardJob

__all__ = ["library", "shard", "start"]

WATCH_SECONDS = 2.0


def start(parent: int) -> None:
    """One thread per worker; Ctrl-C is the parent's to handle, and a worker ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def library(job: LibraryJob) -> None:
    """Make a library."""
    from unseen.simulate.libraries import make_library

    make_library(job)


def shard(job: ShardJob) -> ShardInfo:
    """Make a shard."""
    from unseen.simulate.generate import make_shard

    return make_shard(job)
