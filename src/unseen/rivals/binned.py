"""Saturated Poisson likelihood ratio in cells (Baker and Cousins, NIM 221 (1984) 437)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.special import kl_div
from sklearn.cluster import KMeans

from unseen.rivals.base import Rival, Seed
from unseen.search.toys import Codes
from unseen.search.validate import Floats, check_count

__all__ = ["Binned", "cell_counts", "poisson_deviance"]

EVENTS_PER_CELL = 10  # training events that a cell must stand on
EMPTY = 0.5  # reference events that an empty cell counts as, so that data there cost much but not everything


def cell_counts(cell: NDArray[np.int64], n_cells: int, codes: Codes) -> tuple[Floats, Floats]:
    """Return how many reference and data events of each toy lie in each cell: two (T, n_cells)."""
    rows = csr_array((np.ones(len(cell)), (cell, np.arange(len(cell)))), shape=(n_cells, len(cell)))
    reference, data = ((rows @ (codes == code).T.astype(np.float64)).T for code in (1, -1))
    return reference, data


def poisson_deviance(n: Floats, reference: Floats, scale: Floats) -> Floats:
    """Return 2 [ mu - n + n log(n / mu) ], mu = `scale` times the reference's count, half an event where it is 0."""
    deviance: Floats = 2.0 * kl_div(n, np.maximum(reference, EMPTY) * scale)
    return deviance


class Binned(Rival):
    """The sum over cells of 2 [ mu - n + n log(n / mu) ], mu the reference's count scaled to N.

    Cells hold equal numbers of training events in one dimension (quantiles); in more they are the regions closest to
    the centres of k-means on the standardised training events. 30 cells by default, fewer with under 300 training
    events. The yield counts: t also sees N_D differ from N.
    """

    name: ClassVar[str] = "binned"
    columns = ("binned",)
    normalisation: ClassVar[str] = "known"

    def __init__(self, n_cells: int = 30, seed: int = 0) -> None:
        super().__init__(seed)
        self.n_cells = check_count("n_cells", n_cells, 1)

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        n = min(self.n_cells, len(z) // EVENTS_PER_CELL)
        if z.shape[1] == 1:
            self._edges = np.unique(np.quantile(z[:, 0], np.arange(1, n) / n))
            self._n = len(self._edges) + 1
            return
        distinct = len(np.unique(z, axis=0))
        means = KMeans(min(n, distinct), n_init=1, random_state=int(rng.integers(2**31))).fit(z)
        self._centres = np.asarray(means.cluster_centers_)
        self._n = len(self._centres)

    def _attach(self, z: Floats) -> None:
        self._cell = self._cells(z)

    def _cells(self, z: Floats) -> NDArray[np.int64]:
        """Return the cell (n,) of each event."""
        if z.shape[1] == 1:
            return np.searchsorted(self._edges, z[:, 0], side="right")
        return np.asarray(cKDTree(self._centres).query(z)[1], dtype=np.int64)

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        reference, data = cell_counts(self._cell, self._n, codes)
        scale = expected[:, None] / np.count_nonzero(codes > 0, axis=1)[:, None]
        t: Floats = poisson_deviance(data, reference, scale).sum(axis=1, keepdims=True)
        return t
