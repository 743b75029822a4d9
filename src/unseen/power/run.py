"""Compute what is missing of a scan, keep it, and put the pieces together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.power.candidate import Candidate
from unseen.power.plan import Chunk, Sample, Scan, chunks, samples
from unseen.power.store import ToyStore
from unseen.workers import Workers

__all__ = ["Toys", "run_scan"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Toys:
    """t[test][sample] (n_toys, k): the statistics of all columns side by side."""

    t: Mapping[str, Mapping[Sample, Floats]]


def evaluate(chunk: Chunk, candidates: Mapping[str, Candidate]) -> Floats:
    """Return the statistics of one chunk; runs inside a worker."""
    sample = chunk.sample
    return candidates[chunk.test].statistics(
        chunk.column, chunk.n_toys, chunk.seed, sample.signal, sample.n_signal, sample.n_data
    )


def run_scan(
    scan: Scan,
    candidates: Mapping[str, Candidate],
    nulls: Mapping[str, bool],
    store: ToyStore,
    workers: Workers,
    progress: Callable[[int, int], None] | None = None,
) -> Toys:
    """Return all toys of a scan; those in `store` are not computed again, and new ones go there as they come.

    `nulls` says for which tests the null consists of toys; `progress(done, total)` counts them over all columns.
    Errors: those of the tests, DiskSpaceError, WorkerLostError.
    """
    todo = list(chunks(scan, candidates, nulls))
    found = {chunk: t for chunk in todo if (t := store.read(chunk)) is not None}
    total, done = sum(chunk.n_toys for chunk in todo), sum(chunk.n_toys for chunk in found)

    def finished(chunk: Chunk, t: Floats) -> None:
        nonlocal done
        store.write(chunk, t)
        found[chunk] = t
        done += chunk.n_toys
        if progress is not None:
            progress(done, total)

    if progress is not None:
        progress(done, total)
    missing = [chunk for chunk in todo if chunk not in found]
    if missing:
        workers.run(evaluate, missing, finished, shared=dict(candidates))
    return Toys({name: _collect(scan, name, nulls[name], found) for name in candidates})


def _collect(scan: Scan, test: str, nulls: bool, found: Mapping[Chunk, Floats]) -> dict[Sample, Floats]:
    """Return the statistics of every sample of one test, chunks below each other and columns side by side."""
    pieces: dict[Sample, dict[int, dict[int, Floats]]] = {}
    for chunk, t in found.items():
        if chunk.test == test:
            pieces.setdefault(chunk.sample, {}).setdefault(chunk.column, {})[chunk.index] = t
    return {
        sample: np.hstack([np.vstack([part[i] for i in sorted(part)]) for _, part in sorted(pieces[sample].items())])
        for sample, _ in samples(scan, nulls)
    }
