"""What runs on the workers of a calibration: toys in whole batches, and analytic nulls, from one copy of the events."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from unseen.search.analytic import AnalyticNull
from unseen.search.at_map import Moments, Throw, analytic_nulls, fits_of
from unseen.search.parallel import blockwise
from unseen.search.refit import ToyFits, batches, fit_toys
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats

__all__ = ["NullJob", "Station", "ToyJob", "null_at", "toys_at"]


@dataclass(frozen=True)
class ToyJob:
    """The toys of map k in the batches `first` to `last` - 1; `budget` is the memory for the reference's features."""

    k: int
    budget: float
    throw: Throw
    first: int
    last: int


@dataclass(frozen=True)
class NullJob:
    """The analytic null of map k."""

    k: int
    budget: float
    moments: Moments


@dataclass(frozen=True)
class Station:
    """The events of a calibration, and on each worker the features of the one map that it is at.

    May be used by several threads at once. Sent to another process it leaves behind what it has computed.
    """

    simulation: Simulation
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _here: dict[tuple[int, float], Simulation] = field(default_factory=dict, repr=False, compare=False)
    _fits: dict[tuple[int, float, Throw], ToyFits] = field(default_factory=dict, repr=False, compare=False)

    def at(self, k: int, budget: float) -> Simulation:
        """Return the simulation with the features of map k."""
        with self._lock:
            return self._at(k, budget)

    def fits(self, job: ToyJob) -> ToyFits:
        """Return what the job's toys are fitted with."""
        key = (job.k, job.budget, job.throw)
        with self._lock:
            if key not in self._fits:
                self._fits.clear()
                self._fits[key] = fits_of(self._at(job.k, job.budget), job.k, job.throw)
            return self._fits[key]

    def _at(self, k: int, budget: float) -> Simulation:
        if (k, budget) not in self._here:
            self._fits.clear()
            self._here.clear()
            self._here[k, budget] = self.simulation.alone(k, budget)
        return self._here[k, budget]

    def __getstate__(self) -> dict[str, Any]:
        return {"simulation": self.simulation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"_lock": threading.Lock(), "_here": {}, "_fits": {}}).items():
            object.__setattr__(self, name, value)


def toys_at(job: ToyJob, station: Station) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of a job's toys; runs inside a worker."""
    with blockwise():
        fits = station.fits(job)
        return fit_toys(fits, batches(fits.plan, len(fits.union))[job.first : job.last], lambda _: None)


def null_at(job: NullJob, station: Station) -> tuple[AnalyticNull, ...]:
    """Return the analytic nulls of a map; runs inside a worker."""
    with blockwise():
        return analytic_nulls(station.at(job.k, job.budget), job.k, job.moments)
