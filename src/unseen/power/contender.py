"""A test in a power study: what computes its toys, and how their statistics become p-values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.power.candidate import Candidate
from unseen.rivals.rank_null import RankNull
from unseen.search import Null

__all__ = ["Contender", "Reading"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """One p-value from a test's statistics: the columns `columns`, combined as `combination`.

    `knowing` (a test that knows the signal and its size): the column for each injection of the scan, by signal.
    `analytic` is a null that needs no toys.
    """

    name: str
    columns: tuple[int, ...]
    mode: str
    combination: str = "smallest_p"
    calibration: str = "toys"
    knowing: Mapping[str, tuple[int, ...]] | None = None
    analytic: Null | None = None

    def of(self, t: Floats, signal: str, injection: int) -> Floats:
        """Return the statistics (n, k) that p comes from, of all columns; `injection` counts from 0."""
        columns = self.columns if self.knowing is None else (self.knowing[signal][injection],)
        read: Floats = t[:, columns]
        return read

    def null(self, t: Floats | None, signal: str, injection: int) -> Null:
        """Return the null from the statistics of null toys."""
        if self.analytic is not None:
            return self.analytic
        assert t is not None
        read = self.of(t, signal, injection)
        kind = Null if read.shape[1] > 1 else RankNull  # one column's rank needs no moments, whatever its sign
        return kind(read, self.mode, self.combination, self.calibration)


@dataclass(frozen=True)
class Contender:
    """A candidate and the readings of its statistics."""

    candidate: Candidate
    readings: tuple[Reading, ...]

    @property
    def calibration(self) -> str:
        """Where the nulls come from."""
        first = self.readings[0]
        return first.calibration if first.analytic is None else first.analytic.calibration

    @property
    def needs_null_toys(self) -> bool:
        """Whether any null consists of toys."""
        return any(reading.analytic is None for reading in self.readings)
