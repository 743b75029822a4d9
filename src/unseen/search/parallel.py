"""Blocks of events shared among threads: each thread runs its own blocks with one thread inside torch.

Splitting every small operation of a block among cores costs more in waking threads than it saves, and threads of an
OpenMP pool that spin while they wait take the cores from each other. So the engine gives torch one thread while it runs
(`blockwise`) and uses as many of its own. Results depend on the number of threads (by rounding), never on their timing:
thread i takes the blocks i, i + n, i + 2 n, ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["blockwise", "run_parts"]

Result = TypeVar("Result")
_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def blockwise() -> Iterator[None]:
    """Give torch one thread in this thread, and blocks of events as many as it had. May be nested."""
    if _threads.get() is not None:
        yield
        return
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    token = _threads.set(before)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")  # products with 10-bit mantissas would spoil t and convergence
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
        _threads.reset(token)


@lru_cache(maxsize=1)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="unseen", initializer=torch.set_num_threads, initargs=(1,))


def run_parts(work: Callable[[range], Result], n: int, *, threads: int | None = None) -> list[Result]:
    """Return `work(part)` for parts that share 0..n-1 among `threads` (default: those of `blockwise`, else one)."""
    count = max(1, min((_threads.get() or 1) if threads is None else threads, n))
    parts = [range(first, n, count) for first in range(count)]
    if count == 1:
        return [work(parts[0])]
    return list(_pool(count).map(work, parts))
