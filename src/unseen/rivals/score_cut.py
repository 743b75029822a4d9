"""A per-event anomaly score followed by a cut: count data above it, expect what the reference says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from unseen.errors import ConfigError
from unseen.rivals.base import MIN_TRAINING, Rival, Seed
from unseen.rivals.binned import cell_counts, poisson_deviance
from unseen.search.toys import Codes
from unseen.search.validate import Floats

__all__ = ["ScoreCut"]


class ScoreCut(Rival):
    """t = sign(n - mu) sqrt(2 [ mu - n + n log(n / mu) ]) of the n data events above one cut on an anomaly score.

    The score is learned from half of the training events; the cut lets `cut` of the other half through (1 % by
    default); mu is the reference's count above it scaled to N, half an event where there is none. Only an excess is
    anomalous. One cut, frozen in advance, so that no look-elsewhere effect enters.
    """

    normalisation: ClassVar[str] = "known"

    def __init__(self, cut: float = 0.01, seed: int = 0) -> None:
        super().__init__(seed)
        self.cut = float(cut)
        if not 0.0 < self.cut < 1.0:
            raise ConfigError(f"cut is {cut!r}; expected a fraction of the background between 0 and 1")
        self.min_training = max(MIN_TRAINING, int(np.ceil(2.0 / self.cut)))  # one event above the cut

    @abstractmethod
    def _learn(self, z: Floats, rng: np.random.Generator) -> None:
        """Learn the score from events z (n, d) in standardised units."""

    @abstractmethod
    def score(self, z: Floats) -> Floats:
        """Return the anomaly score (n,) of events z (n, d) in standardised units; larger is more anomalous."""

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        z = z[rng.permutation(len(z))]
        half = len(z) // 2
        self._learn(z[:half], rng)
        self.threshold = float(np.quantile(self.score(z[half:]), 1.0 - self.cut))

    def _attach(self, z: Floats) -> None:
        self._above = (self.score(z) > self.threshold).astype(np.int64)

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        reference, data = (counts[:, 1:] for counts in cell_counts(self._above, 2, codes))
        scale = expected[:, None] / np.count_nonzero(codes > 0, axis=1)[:, None]
        t: Floats = np.sign(data - reference * scale) * np.sqrt(poisson_deviance(data, reference, scale))
        return t
