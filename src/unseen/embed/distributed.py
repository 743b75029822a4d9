"""Embedding on parallel workers: blocks of one size, results in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.embed.model import Model
from unseen.events import Events
from unseen.workers import Workers

__all__ = ["embed_on"]

# A multiple of the rows of one forward pass, so that the number of workers cannot be told from the result; 4 MB.
EVENTS_PER_JOB = 16384


@dataclass(frozen=True)
class Block:
    """Rows from `start` on: objects (n, slots, features) and present (n, slots)."""

    start: int
    objects: NDArray[np.float32]
    present: NDArray[np.bool_]

    def __str__(self) -> str:
        return f"embedding of events {self.start} to {self.start + len(self.objects) - 1}"


def embed_on(
    workers: Workers,
    model: Model,
    events: Events,
    progress: Callable[[int, int], None] = lambda done, total: None,
    events_per_job: int = EVENTS_PER_JOB,
) -> NDArray[np.float32]:
    """The embedding of every event, float32 (n, dim): the numbers of `model.embed(events)`.

    `progress` is told how many of the events are done. Errors: SchemaError, NonFiniteError, those of `workers`.
    """
    model.check(events)
    starts = range(0, len(events), events_per_job)
    stops = [start + events_per_job for start in starts]
    jobs = [Block(i, events.objects[i:j], events.present[i:j]) for i, j in zip(starts, stops, strict=True)]
    done: dict[int, NDArray[np.float32]] = {}

    def finished(job: Block, z: NDArray[np.float32]) -> None:
        done[job.start] = z

    def report() -> None:
        progress(min(len(done) * events_per_job, len(events)), len(events))

    workers.run(embed_block, jobs, finished, report, shared=model)
    return model.joined([done[start] for start in starts])


def embed_block(block: Block, model: Model) -> NDArray[np.float32]:
    """The embedding of a block."""
    return model.block(block.objects, block.present)
