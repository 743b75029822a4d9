"""Nearest-neighbour two-sample test (Schilling, JASA 81 (1986) 799; Henze, Ann. Stat. 16 (1988) 772)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from unseen.errors import NotEnoughEventsError
from unseen.rivals.base import Rival, Seed
from unseen.search.toys import Codes
from unseen.search.validate import Floats, check_count

__all__ = ["KNN"]

MARGIN_SIGMA = 4.0  # neighbours are found so that events this unlucky still have k in their toy


class KNN(Rival):
    """How many of the k nearest neighbours of data events are data, in units of a binomial standard deviation.

    t = [ S - n_D k q ] / sqrt(n_D k q (1 - q)), S the number of such neighbours in the toy's own events and
    q = (n_D - 1) / (n_R + n_D - 1) the fraction expected. Neighbourhoods overlap, so that t is not of unit variance.
    """

    name: ClassVar[str] = "knn"
    columns = ("knn",)
    min_events: ClassVar[int] = 2

    def __init__(self, k: int = 10, seed: int = 0) -> None:
        super().__init__(seed)
        self.k = check_count("k", k, 1)

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass  # the units are all that it needs

    def _attach(self, z: Floats) -> None:
        self._z = z
        self._search: NearestNeighbors | None = None
        self._neighbours = np.empty((len(z), 0), dtype=np.int32)

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        used = np.count_nonzero(codes, axis=1)
        if used.min() <= self.k:
            raise NotEnoughEventsError(f"knn looks at {self.k} neighbours, a toy has {used.min()} events; lower k")
        self._find(float(used.min()) / codes.shape[1])
        return np.array([[self._one(code)] for code in codes])

    def _find(self, fraction: float) -> None:
        """Hold enough neighbours of every event that k of them are in a toy of this fraction of the union."""
        wanted = int(np.ceil((self.k + MARGIN_SIGMA * np.sqrt(self.k * (1.0 - fraction)) + 1.0) / fraction))
        wanted = min(wanted, len(self._z) - 1)
        if wanted <= self._neighbours.shape[1]:
            return
        if self._search is None:
            self._search = NearestNeighbors().fit(self._z)
        self._neighbours = self._search.kneighbors(n_neighbors=wanted, return_distance=False).astype(np.int32)

    def _one(self, code: Codes) -> float:
        """Return t of one toy."""
        data = np.flatnonzero(code < 0)
        around = code[self._neighbours[data]]
        order = np.cumsum(around != 0, axis=1, dtype=np.int32)
        same = np.count_nonzero((around < 0) & (order <= self.k), axis=1)
        short = order[:, -1] < self.k
        if short.any():
            same[short] = self._exact(code, data[short])
        n_d, n = len(data), int(np.count_nonzero(code))
        q = (n_d - 1.0) / (n - 1.0)
        return float((same.sum() - n_d * self.k * q) / np.sqrt(n_d * self.k * q * (1.0 - q)))

    def _exact(self, code: Codes, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many of the k neighbours of events `rows` are data, searching the toy's own events."""
        toy = np.flatnonzero(code)
        found = NearestNeighbors(n_neighbors=self.k + 1).fit(self._z[toy])
        near = toy[found.kneighbors(self._z[rows], return_distance=False)]
        others = near != rows[:, None]  # an event is its own neighbour, unless a copy of it came first
        first = others & (np.cumsum(others, axis=1) <= self.k)
        same: NDArray[np.int64] = np.count_nonzero((code[near] < 0) & first, axis=1)
        return same
