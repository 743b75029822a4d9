"""Blocks of events shared among threads: each thread runs its own blocks with one thread inside torch.

Splitting every small operation of a block among cores costs more in waking threads than it saves. Results depend on the
number of threads (by rounding), never on their timing: thread i takes the blocks i, i + n, i + 2 n, ...
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["run_parts"]

Result = TypeVar("Result")


@lru_cache(maxsize=1)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="unseen", initializer=torch.set_num_threads, initargs=(1,))


def run_parts(work: Callable[[range], Result], n: int, *, threads: int | None = None) -> list[Result]:
    """Return `work(part)` for parts that share 0..n-1 among `threads` (default: torch's own number)."""
    count = max(1, min(torch.get_num_threads() if threads is None else threads, n))
    parts = [range(first, n, count) for first in range(count)]
    if count == 1:
        return [work(parts[0])]
    return list(_pool(count).map(work, parts))
