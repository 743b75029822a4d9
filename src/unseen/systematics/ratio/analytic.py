"""Ratios of nuisance parameters that only weight events: no distortion to learn, only conditional means.

With log factors g.nu on the weight, r(z; nu) = E[exp(g.nu) | z] over nominal events at z, so that to second order in nu

    log r = sum_k nu_k E[g_k | z] + sum_kl nu_k nu_l cov(g_k, g_l | z) / 2.

A yield has the same g for every event: log r = log(1 + size) nu, exactly. A process known to some fraction has g on its
own events only, and E[g | z] is g times its share at z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import NuisanceError, ShapeError
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.density_ratio import DensityRatio
from unseen.systematics.ratio.expansion import KernelExpansion
from unseen.systematics.ratio.joined import JoinedSource
from unseen.systematics.ratio.kernel import KernelSource
from unseen.systematics.ratio.monomials import Floats, n_monomials, pairs
from unseen.systematics.ratio.regression import conditional_means

__all__ = ["fit_weight_ratio", "join", "yield_ratio"]

LIMITS = (-5.0, 5.0)


def yield_ratio(name: str, size: float, n_features: int, limits: tuple[float, float] = LIMITS) -> DensityRatio:
    """An overall yield known to a fraction `size`: log r = log(1 + size) nu for every event. Errors: NuisanceError."""
    if not 0 < size < float("inf"):
        raise NuisanceError(f"the yield '{name}' has the size {size}; expected a fraction above zero")
    zero, one = np.zeros(n_features), np.ones(n_features)
    constant = np.array([math.log1p(size), 0.0])
    expansion = KernelExpansion(zero, one, zero[None], np.ones(1), np.zeros((1, 2)), constant)
    return DensityRatio((name,), np.array([limits]), KernelSource(expansion, 1), None, {"kind": "yield", "size": size})


def fit_weight_ratio(
    z: ArrayLike,
    up: ArrayLike,
    names: Sequence[str],
    *,
    down: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    limits: tuple[float, float] = LIMITS,
    n_centers: int = 400,
    rank: int = 100,
    widths: Sequence[float] = (0.5, 1.0, 2.0),
    seed: int = 0,
) -> DensityRatio:
    """The ratio of weights known for every event: log factors `up` (n, k) at nu = 1 and `down` at nu = -1 (None: -up).

    z (n, d): nominal events that pass the selection, with their weights. Other arguments: `fit_kernel_ratio`.
    Errors: ShapeError, NonFiniteError, WeightError, NotEnoughEventsError, NuisanceError (names).
    """
    names = checks.checked_names(names)
    high = np.asarray(up, dtype=np.float64)
    low = -high if down is None else np.asarray(down, dtype=np.float64)
    if high.ndim != 2 or high.shape[1] != len(names) or low.shape != high.shape:
        raise ShapeError(
            f"log factors have shapes {high.shape} and {low.shape}; expected (events, {len(names)}), for {names}"
        )
    x = checks.as_z("events of a weight ratio", z)
    slope, bend = (high - low) / 2.0, (high + low) / 2.0

    def means(targets: Floats) -> KernelExpansion:
        return conditional_means(x, targets, weights, n_centers=n_centers, rank=rank, widths=widths, seed=seed)

    expansion = means(np.hstack([slope, _second(slope - means(slope)(x), bend)]))
    report = {"kind": "weight", "n_nominal": len(x), "n_centers": n_centers, "rank": rank, "widths": list(widths)}
    ranges = np.array([limits] * len(names))
    return DensityRatio(names, ranges, KernelSource(expansion, len(names)), None, report)


def _second(rest: Floats, bend: Floats) -> Floats:
    """Targets of the pairs i <= j: half the covariance at z, the bend on the diagonal; cross terms count twice."""
    k = rest.shape[1]
    result = np.empty((len(rest), n_monomials(k) - k))
    for column, (i, j) in enumerate(pairs(k)):
        result[:, column] = rest[:, i] ** 2 / 2.0 + bend[:, i] if i == j else rest[:, i] * rest[:, j]
    return result


def join(*ratios: DensityRatio) -> DensityRatio:
    """One ratio of all their parameters, which must differ and act independently. Closure is to be tested again.

    Errors: NuisanceError (no ratio, a name twice), ShapeError (other numbers of features).
    """
    if not ratios:
        raise NuisanceError("no ratios to join")
    names = tuple(name for each in ratios for name in each.names)
    limits = np.concatenate([each.limits for each in ratios])
    report = {"kind": "joined", "parts": [dict(each.report) for each in ratios]}
    return DensityRatio(names, limits, JoinedSource(tuple(each.source for each in ratios)), None, report)
