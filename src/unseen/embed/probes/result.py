"""Scores of a classifier on events that it was not fitted on, with their statistical errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.embed.probes.split import Part, Split

__all__ = ["ProbeResult", "accuracy", "score"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeResult:
    """Scores of a classifier on events that it was not fitted on.

    accuracy           share of right answers with the classes as frequent as given, or as in the mixture
    balanced_accuracy  mean over the classes of the share of right answers, of a classifier fitted with equal classes
    auc                class name -> area under the ROC curve of this class against the rest
    recall             class name -> share of right answers among its events, of the classifier with equal classes
    n_test_by_class    class name -> events scored
    ..._error          standard error from the finite number of scored events; the fitted classifier is taken as it is
    """

    accuracy: float
    balanced_accuracy: float
    auc: dict[str, float]
    n_train: int
    n_test: int
    accuracy_error: float
    balanced_accuracy_error: float
    recall: dict[str, float]
    n_test_by_class: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `json.dumps`."""
        return asdict(self)


def accuracy(right: NDArray[np.bool_], part: Part, shares: Floats | None) -> tuple[float, float]:
    """Share of right answers (n,) and its standard error.

    Without `shares` the composition fluctuates with the sample: a = sum w_i c_i / W with influence w_i (c_i - a) / W,
    which for unit weights is the binomial error. With shares (K,) it is fixed: a = sum_k shares_k r_k, each event's
    influence shares_k w_i (c_i - r_k) / W_k. The variance is the sum over groups of their squared summed influence, so
    that copies of one generated event count as one.
    """
    w, c = part.weight, right.astype(np.float64)
    if shares is None:
        value = float(w @ c / w.sum())
        influence = w * (c - value) / w.sum()
    else:
        total = np.bincount(part.y, weights=w, minlength=len(shares))
        recall = np.bincount(part.y, weights=w * c, minlength=len(shares)) / total
        value = float(shares @ recall)
        influence = (shares / total)[part.y] * w * (c - recall[part.y])
    by_group = np.bincount(np.unique(part.group, return_inverse=True)[1], weights=influence)
    return value, float(np.sqrt(by_group @ by_group))


def score(split: Split, natural: Floats, balanced: Floats) -> ProbeResult:
    """Scores from probabilities of the test events (n_test, K): of a natural fit, and of one with equal classes."""
    from sklearn.metrics import roc_auc_score

    test, names = split.test, split.names
    equal = np.full(len(names), 1.0 / len(names))
    right = balanced.argmax(axis=1) == test.y
    value, error = accuracy(natural.argmax(axis=1) == test.y, test, split.shares)
    balanced_value, balanced_error = accuracy(right, test, equal)
    mine = [test.y == k for k in range(len(names))]
    return ProbeResult(
        accuracy=value,
        balanced_accuracy=balanced_value,
        auc={
            name: float(roc_auc_score(mine[k], natural[:, k], sample_weight=test.weight))
            for k, name in enumerate(names)
        },
        n_train=len(split.fit.y),
        n_test=len(test.y),
        accuracy_error=error,
        balanced_accuracy_error=balanced_error,
        recall={name: float(np.average(right[mine[k]], weights=test.weight[mine[k]])) for k, name in enumerate(names)},
        n_test_by_class={name: int(mine[k].sum()) for k, name in enumerate(names)},
    )
