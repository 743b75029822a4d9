"""Isolation forest (Liu, Ting and Zhou, ICDM 2008) and a cut on its score."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.ensemble import IsolationForest

from unseen.rivals.score_cut import ScoreCut
from unseen.search.validate import Floats

__all__ = ["IsolationForestCut"]

TREES = 200


class IsolationForestCut(ScoreCut):
    """Score: how few random splits isolate an event (scikit-learn, 200 trees of 256 events)."""

    name: ClassVar[str] = "isolation_forest"
    columns = ("isolation_forest",)

    def _learn(self, z: Floats, rng: np.random.Generator) -> None:
        self._forest = IsolationForest(n_estimators=TREES, random_state=int(rng.integers(2**31))).fit(z)

    def score(self, z: Floats) -> Floats:
        """Return the anomaly score (n,) between 0 and 1."""
        return -np.asarray(self._forest.score_samples(z), dtype=np.float64)
