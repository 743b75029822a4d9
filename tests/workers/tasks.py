"""Tasks for workers: functions of a module, as those of the package are."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from unseen.errors import ConfigError


def scaled_sum(job: int, shared: np.ndarray[Any, Any]) -> float:
    return float(job * shared.sum())


def square(job: int, _: Any) -> int:
    return job * job


def slow_square(job: int, seconds: float) -> int:
    time.sleep(seconds)
    return job * job


def refuse_seven(job: int, _: Any) -> int:
    time.sleep(0.002)
    if job == 7:
        raise ConfigError("seven is not allowed; use eight")
    return job


class StubbornError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, a: int, b: int):
        super().__init__(f"{a} and {b}")


def refuse_stubbornly(job: int, _: Any) -> int:
    raise StubbornError(job, job)


def fill_the_disk(job: int, folder: str) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{folder}/{job}")


def die_once(job: int, folder: str) -> int:
    """Write a file and, the first time that job 3 does, die before reporting."""
    (Path(folder) / f"{job}").write_text(str(job))
    mark = Path(folder) / "died"
    if job == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job


def always_die(job: int, _: Any) -> int:
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def process_number(job: int, _: Any) -> int:
    time.sleep(0.05)
    return os.getpid()


def touch_and_sleep(job: int, folder: str) -> int:
    (Path(folder) / f"{job}-{os.getpid()}").touch()
    time.sleep(0.2 if job < 2 else 60)
    return job
