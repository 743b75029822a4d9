"""What a calibration computes at every map: here, one after the other, or on the workers of a runner.

On workers the toys of a map are dealt in the batches in which one process fits them, each worker with its own features
of the events; the reference's second moments come from jobs of their own (`unseen.search.moments`). The numbers are
those of one process, to the last bit, whatever the number of workers and the order in which they report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from unseen.search.analytic import AnalyticNull
from unseen.search.at_map import Found, Moments, Throw, at_map
from unseen.search.refit import batches
from unseen.search.runner import Runner
from unseen.search.simulation import Simulation
from unseen.search.station import NullJob, Station, ToyJob, null_at, toys_at
from unseen.search.validate import Floats

__all__ = ["Evaluate", "evaluator"]

Tick = Callable[[int], None]
Evaluate = Callable[[Throw | None, Moments, Tick], Iterator[Found]]
JOBS_PER_WORKER = 4  # at each map, where there are batches enough: short enough that all workers end together


def evaluator(simulation: Simulation, runner: Runner | None) -> Evaluate:
    """Return the function that yields what is asked of every map, in their order; `tick` is told of finished toys."""
    if runner is not None:
        return Elsewhere(simulation, runner)

    def here(throw: Throw | None, moments: Moments, tick: Tick) -> Iterator[Found]:
        for k in range(simulation.n_maps):
            yield at_map(simulation, k, throw, moments, tick)

    return here


@dataclass(frozen=True)
class Elsewhere:
    """Evaluates on the workers of `runner`."""

    simulation: Simulation
    runner: Runner

    @cached_property
    def station(self) -> Station:
        """What every worker holds: sent once for all that a calibration asks."""
        self.simulation.fitted.prepare(self.runner)
        return Station(self.simulation.without_features())

    def __call__(self, throw: Throw | None, moments: Moments, tick: Tick) -> Iterator[Found]:
        """Yield what is asked of every map, when all of it is there."""
        jobs = self._jobs(throw, moments)  # first of all: a pool that is too small is an error
        found: dict[ToyJob | NullJob, Any] = {}

        def finished(job: ToyJob | NullJob, result: Any) -> None:
            found[job] = result
            if isinstance(job, ToyJob):
                tick(len(result[0]))

        self.runner.run(perform, jobs, finished, shared=self.station)
        for k in range(self.simulation.n_maps):
            toys = [found[job] for job in jobs if job.k == k and isinstance(job, ToyJob)]
            nulls = [found[job] for job in jobs if job.k == k and isinstance(job, NullJob)]
            t, linear = (np.concatenate(parts) for parts in zip(*toys, strict=True)) if toys else (np.empty(0),) * 2
            yield Found(t, linear, nulls[0])

    def _jobs(self, throw: Throw | None, moments: Moments) -> list[ToyJob | NullJob]:
        """Return the jobs, those of one map together: a worker computes the features of a map when it comes to it."""
        ends = [0]
        if throw is not None:
            n_batches = len(batches(throw.plan(self.simulation), len(self.simulation.weights)))
            size = -(-n_batches // (JOBS_PER_WORKER * self.runner.count))
            ends = [*range(0, n_batches, size), n_batches]
        jobs: list[ToyJob | NullJob] = []
        for k in range(self.simulation.n_maps):
            budget = self.simulation.fitted.planned_budget(k)
            jobs.append(NullJob(k, budget, moments))
            if throw is not None:
                jobs += [ToyJob(k, budget, throw, a, b) for a, b in pairwise(ends)]
        return jobs


def perform(job: ToyJob | NullJob, station: Station) -> tuple[Floats, Floats] | tuple[AnalyticNull, ...]:
    """Do one job; runs inside a worker."""
    return toys_at(job, station) if isinstance(job, ToyJob) else null_at(job, station)
