"""How much of the classes a linear function can read off an embedding."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import ConvergenceError, NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.seeds import generator, small_seed

__all__ = ["ProbeResult", "linear_probe"]


@dataclass(frozen=True)
class ProbeResult:
    """Scores of a linear classifier on events that it was not fitted on.

    accuracy           share of right answers with the classes as frequent as given
    balanced_accuracy  mean over the classes of the share of right answers, of a classifier fitted with equal classes
    auc                class name -> area under the ROC curve of this class against the rest
    """

    accuracy: float
    balanced_accuracy: float
    auc: dict[str, float]
    n_train: int
    n_test: int

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `json.dumps`."""
        return asdict(self)


def linear_probe(
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    seed: int = 0,
    test_fraction: float = 0.3,
    groups: ArrayLike | None = None,
) -> ProbeResult:
    """Logistic regression on the standardised embedding z (n, d), fitted on one part and scored on the other.

    `target` (n,) indexes `names`. Rows that share a value of `groups` (n,), such as `record["source"]`, stay on one
    side. Errors: ShapeError, NonFiniteError, NotEnoughEventsError (a class absent from a side), ConvergenceError.
    """
    x, y = np.asarray(z, dtype=np.float64), np.asarray(target, dtype=np.int64)
    if x.ndim != 2 or y.shape != (len(x),):
        raise ShapeError(f"z {x.shape} and target {y.shape} are not (n, d) and (n,)")
    if not np.isfinite(x).all():
        raise NonFiniteError("the embedding has values that are not finite")
    test = _test_rows(y, np.arange(len(y)) if groups is None else np.asarray(groups), seed, test_fraction, names)
    mean, deviation = x[~test].mean(axis=0), x[~test].std(axis=0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1.0)
    natural = _fit(x[~test], y[~test], None, seed)
    balanced = _fit(x[~test], y[~test], "balanced", seed)
    return ProbeResult(
        accuracy=float(natural.score(x[test], y[test])),
        balanced_accuracy=_mean_recall(y[test], balanced.predict(x[test])),
        auc=_one_against_rest(y[test], natural.predict_proba(x[test]), natural.classes_, names),
        n_train=int((~test).sum()),
        n_test=int(test.sum()),
    )


def _test_rows(
    y: NDArray[np.int64], groups: NDArray[Any], seed: int, fraction: float, names: Sequence[str]
) -> NDArray[np.bool_]:
    unique, group = np.unique(groups, return_inverse=True)
    held = generator(seed, "probe", "split").permutation(len(unique)) < round(fraction * len(unique))
    test: NDArray[np.bool_] = held[group]
    classes = np.unique(y)
    if len(classes) < 2:
        raise NotEnoughEventsError(f"a probe needs two classes or more; the events have {len(classes)}")
    for side in (test, ~test):
        missing = np.setdiff1d(classes, y[side])
        if len(missing):
            raise NotEnoughEventsError(f"class '{names[missing[0]]}' has too few events to fit and to test a probe")
    return test


def _fit(x: NDArray[np.float64], y: NDArray[np.int64], class_weight: str | None, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=2000, class_weight=class_weight, random_state=small_seed(seed, "probe"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return classifier.fit(x, y)
        except ConvergenceWarning as error:
            raise ConvergenceError("the linear probe did not converge in 2000 steps") from error


def _mean_recall(y: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    return float(np.mean([(predicted[y == c] == c).mean() for c in np.unique(y)]))


def _one_against_rest(
    y: NDArray[np.int64], probability: NDArray[np.float64], classes: NDArray[np.int64], names: Sequence[str]
) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    return {names[c]: float(roc_auc_score(y == c, probability[:, i])) for i, c in enumerate(classes)}
