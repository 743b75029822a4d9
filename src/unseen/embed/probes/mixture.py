"""Another composition: weights that give a sample of some processes the shares of a mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ConfigError, NotEnoughEventsError, UnknownProcessError, did_you_mean

__all__ = ["check_mixture", "reweighted", "shares_of"]

Floats = NDArray[np.float64]


def check_mixture(mixture: Mapping[str, float], names: Sequence[str]) -> None:
    """Raise ConfigError for shares that are none, UnknownProcessError for a process that is not in `names`."""
    for name, share in mixture.items():
        if not (math.isfinite(share) and share >= 0):
            raise ConfigError(f"mixture: the share of '{name}' is {share}; it must be a number of 0 or more")
        if share > 0 and name not in names:
            raise UnknownProcessError(f"mixture: no events of process '{name}'{did_you_mean(name, names)}")
    if sum(share > 0 for share in mixture.values()) < 2:
        raise ConfigError("mixture: at least two processes need a share above 0")


def shares_of(mixture: Mapping[str, float], names: Sequence[str]) -> Floats:
    """The shares in the order of `names`, summing to 1; 0 for a process that the mixture does not name."""
    check_mixture(mixture, names)
    shares = np.array([mixture.get(name, 0.0) for name in names], dtype=np.float64)
    normalised: Floats = shares / shares.sum()
    return normalised


def reweighted(weight: Floats, target: NDArray[np.int64], shares: Floats) -> Floats:
    """Weights with which the classes have these shares, exactly; within a class they keep their ratios.

    weight, target: (n,); shares: (K,), share of each class. With W_k the sum of weights of class k:
    w_i shares_k / W_k, scaled to a mean of 1 over the n events. Errors: NotEnoughEventsError (a class with a share but
    without events).
    """
    total = np.bincount(target, weights=weight, minlength=len(shares))
    if ((total <= 0) & (shares > 0)).any():
        empty = int(np.argmax((total <= 0) & (shares > 0)))
        raise NotEnoughEventsError(f"class {empty} has a share of {shares[empty]:g} but no events with weight")
    factor = np.divide(shares, total, out=np.zeros(len(shares)), where=total > 0)
    result: Floats = weight * factor[target] * (len(weight) / shares.sum())
    return result
