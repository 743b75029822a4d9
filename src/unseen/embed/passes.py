"""Which events share a forward pass: always equally many, so that no event's numbers depend on the events around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ROWS_PER_PASS", "passes", "run_passes"]

# Matrix products of another shape may round differently: every pass has this many events, the last is filled up.
ROWS_PER_PASS = 1024
# Of encoders that hold some rows for every object of every event: their arrays then stay in the cache.
ROWS_OF_A_MULTIPLICITY = 256

Rows = NDArray[np.int64]
Task = TypeVar("Task")


def passes(present: NDArray[np.bool_], by_multiplicity: bool) -> Iterator[tuple[Rows, int]]:
    """Rows of every pass, equally many, and how many of them count; the others repeat the last that does.

    `by_multiplicity`: a pass holds events with equally many of present (n, slots), so that an encoder that computes
    present objects only does arrays of the same shape for an event, whatever its neighbours.
    """
    multiplicity = present.sum(axis=1) if by_multiplicity else np.zeros(len(present), dtype=np.int64)
    size = ROWS_OF_A_MULTIPLICITY if by_multiplicity else ROWS_PER_PASS
    order = np.argsort(multiplicity, kind="stable")
    starts = np.flatnonzero(np.diff(multiplicity[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        for i in range(0, len(group), size):
            rows = group[i : i + size]
            yield np.pad(rows, (0, size - len(rows)), mode="edge"), len(rows)


def run_passes(work: Callable[[Task], None], tasks: Iterable[Task]) -> None:
    """`work` on every task, shared among as many threads as torch has, each with one thread inside torch.

    Operations of a pass are too small to be split: threads would wait for each other at each of them.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        for task in tasks:
            work(task)
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, "unseen", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, tasks):
                pass
    finally:
        torch.set_num_threads(threads)
