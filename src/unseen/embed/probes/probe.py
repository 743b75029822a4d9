"""One call for every probe: split, fit at two compositions, score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.embed.probes.linear import logistic
from unseen.embed.probes.neighbours import nearest
from unseen.embed.probes.result import ProbeResult, score
from unseen.embed.probes.split import Part, split
from unseen.embed.probes.trees import boosted
from unseen.registry import lookup

__all__ = ["PROBES", "Classifier", "linear_probe", "probe"]

# (events to fit on, their weights (n,), events to judge (m, d), seed) -> probability of every class (m, K)
Classifier = Callable[[Part, NDArray[np.float64], NDArray[np.float64], int], NDArray[np.float64]]

# Extending: one file with a function, and one line here.
PROBES: dict[str, Classifier] = {"linear": logistic, "knn": nearest, "trees": boosted}
TAKES_MISSING = ("trees",)


def probe(
    name: str,
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    *,
    seed: int = 0,
    test_fraction: float = 0.3,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    mixture: Mapping[str, float] | None = None,
) -> ProbeResult:
    """Fit a classifier of `PROBES` on one part of z (n, d) and score it on the rest.

    `target` (n,) indexes `names`. Rows that share a value of `groups` (n,), such as `record["source"]`, stay on one
    side. `weight` (n,) are event weights. `mixture`, class name -> share, reweights fit and score to another
    composition than the sample's; classes that it does not name are left out.
    Errors: UnknownNameError, ShapeError, NonFiniteError (NaN too, but for `trees`), WeightError, NegativeWeightError,
    ConfigError, UnknownProcessError (a mixture), NotEnoughEventsError (a class absent from a side), ConvergenceError.
    """
    classifier = lookup(name, PROBES, "probe")
    parts = split(
        z,
        target,
        names,
        seed=seed,
        test_fraction=test_fraction,
        groups=groups,
        weight=weight,
        mixture=mixture,
        allow_missing=name in TAKES_MISSING,
    )
    fit, x = parts.fit, parts.test.x
    natural = classifier(fit, fit.weight, x, seed)
    return score(parts, natural, classifier(fit, fit.equal_shares(len(parts.names)), x, seed))


def linear_probe(
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    seed: int = 0,
    test_fraction: float = 0.3,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    mixture: Mapping[str, float] | None = None,
) -> ProbeResult:
    """Logistic regression on the standardised embedding z (n, d): `probe("linear", ...)`."""
    return probe(
        "linear",
        z,
        target,
        names,
        seed=seed,
        test_fraction=test_fraction,
        groups=groups,
        weight=weight,
        mixture=mixture,
    )
