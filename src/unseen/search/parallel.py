"""Blocks of events shared among threads: each thread runs its own blocks with one thread inside torch.

Splitting every small operation of a block among cores costs more in waking threads than it saves, and threads of an
OpenMP pool that spin while they wait take the cores from each other. So the engine gives torch one thread while it runs
(`blockwise`) and uses as many of its own. Results depend neither on the number of threads nor on their timing: the
blocks are dealt to a number of parts that follows from theirs alone, part i has the blocks i, i + n, i + 2 n, ..., and
threads, or the workers of a cluster, take whole parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["blockwise", "parts_of", "run_parts"]

Result = TypeVar("Result")
PARTS = 16  # the most threads that can share the work; each part holds a sum of its own
LONGEST_PART = 2048  # blocks; more make more parts: with ten million events and more, workers take them, not threads
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


def parts_of(n: int) -> list[range]:
    """Return the parts that share the blocks 0..n-1; what they are depends on n alone."""
    count = max(1, min(max(PARTS, -(-n // LONGEST_PART)), n))
    return [range(first, n, count) for first in range(count)]


def run_parts(work: Callable[[range], Result], n: int, *, threads: int | None = None) -> list[Result]:
    """Return `work(part)` for parts that share 0..n-1, done by `threads` (default: those of `blockwise`, else one)."""
    parts = parts_of(n)
    count = min((_threads.get() or 1) if threads is None else threads, len(parts))
    if count <= 1:
        return [work(part) for part in parts]
    return list(_pool(count).map(work, parts))
