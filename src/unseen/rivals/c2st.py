"""Classifier two-sample test (Friedman 2003; Lopez-Paz and Oquab, arXiv:1610.06545) with boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier

from unseen.rivals.base import Rival, Seed
from unseen.rivals.shuffle import event_keys, shuffled
from unseen.search.toys import Codes
from unseen.search.validate import Floats, check_count

__all__ = ["C2ST", "auc"]

TREES: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_leaf_nodes": 8,
    "max_bins": 64,  # weighted bin edges cost more than the trees: 255 of them would double the time
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "early_stopping": False,  # it would split off events at random
}


def auc(reference: Floats, data: Floats) -> float:
    """Return the probability that a data score is above a reference score, ties counting half."""
    ranks = rankdata(np.concatenate([data, reference]))[: len(data)]
    return float((ranks.mean() - 0.5 * (len(data) + 1)) / len(reference))


class C2ST(Rival):
    """Boosted trees learn data from reference in one half of both samples and are judged in the other, both ways.

    The classes have equal total weights, so that the trees' log odds f estimate the log ratio of shapes. `c2st_auc` is
    the mean AUC of the two held-out halves; `c2st_lr` the sum over them of 2 [ sum_D f - n_D/n_R sum_R (exp f - 1) ],
    the extended likelihood ratio with the yield left free (2 n_D times the bound on the divergence of arXiv:0809.0853);
    it is negative where the trees learned noise.

    40 small trees: on a few thousand events more of them learn noise, and every toy trains twice. Halves are drawn by
    the events' values and the seed, so that the order of events does not matter.
    """

    name: ClassVar[str] = "c2st"
    columns = ("c2st_auc", "c2st_lr")
    min_events: ClassVar[int] = 4

    def __init__(self, n_trees: int = 40, seed: int = 0) -> None:
        super().__init__(seed)
        self.n_trees = check_count("n_trees", n_trees, 1)

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass  # trees need no units, and every toy trains its own

    def _attach(self, z: Floats) -> None:
        self._z, self._keys = z, event_keys(z)

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        return np.array([self._one(code, seed) for code, seed in zip(codes, seeds, strict=True)])

    def _one(self, code: Codes, seed: Seed) -> tuple[float, float]:
        """Return both statistics of one toy."""
        reference, data = (self._z[shuffled(np.flatnonzero(code == c), self._keys, seed)] for c in (1, -1))
        halves = [(reference[i::2], data[i::2]) for i in (0, 1)]
        folds = [self._fold(halves[i], halves[1 - i]) for i in (0, 1)]
        return 0.5 * (folds[0][0] + folds[1][0]), folds[0][1] + folds[1][1]

    def _fold(self, learn: tuple[Floats, Floats], judge: tuple[Floats, Floats]) -> tuple[float, float]:
        """Return AUC and likelihood ratio of events `judge` under trees that saw `learn`; both (reference, data)."""
        sizes = np.array([len(part) for part in learn])
        label = np.repeat([0, 1], sizes)
        weight = np.repeat(0.5 * sizes.sum() / sizes, sizes)
        trees = HistGradientBoostingClassifier(max_iter=self.n_trees, random_state=0, **TREES)
        trees.fit(np.concatenate(learn), label, sample_weight=weight)
        f_r, f_d = (np.asarray(trees.decision_function(part), dtype=np.float64) for part in judge)
        ratio = 2.0 * (f_d.sum() - len(f_d) * np.expm1(f_r).mean())
        return auc(f_r, f_d), float(ratio)
