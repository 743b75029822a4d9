"""The area under the curve of a classifier between two weighted samples: a diagnostic beside the closure test."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from unseen.rivals.c2st import TREES
from unseen.search.validate import Floats

__all__ = ["weighted_auc"]

N_TREES = 40
MOST_EVENTS = 20_000  # of each sample


def weighted_auc(
    first: Floats, first_shares: Floats, second: Floats, second_shares: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the AUC of boosted trees that tell `second` (m, d) from `first` (n, d), and its standard error.

    Classes have equal weights: the yield is not looked at. Trees learn on one half of both and are judged on the other,
    both ways. The error is that of identical samples, sqrt((1/n + 1/m) / 12) with effective numbers of events.
    """
    parts = []
    for x, shares in ((first, first_shares), (second, second_shares)):
        rows = rng.permutation(len(x))[:MOST_EVENTS]
        parts.append((x[rows], shares[rows] / shares[rows].mean()))
    sizes = [float(w.sum() ** 2 / np.square(w).sum()) for _, w in parts]
    found = [_judged(parts, fold) for fold in (0, 1)]
    return float(np.mean(found)), float(np.sqrt((1.0 / sizes[0] + 1.0 / sizes[1]) / 12.0))


def _judged(parts: list[tuple[Floats, Floats]], fold: int) -> float:
    """Return the AUC on the half `fold` of trees that saw the other one."""
    halves = []
    for which in (1 - fold, fold):
        x = np.concatenate([z[which::2] for z, _ in parts])
        w = np.concatenate([w[which::2] / w[which::2].sum() for _, w in parts])
        label = np.repeat([0, 1], [len(z[which::2]) for z, _ in parts])
        halves.append((x, label, w * (len(x) / 2.0)))
    trees = HistGradientBoostingClassifier(max_iter=N_TREES, random_state=0, **TREES)
    trees.fit(halves[0][0], halves[0][1], sample_weight=halves[0][2])
    x, label, w = halves[1]
    return float(roc_auc_score(label, trees.decision_function(x), sample_weight=w))
