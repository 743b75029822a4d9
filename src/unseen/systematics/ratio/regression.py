"""Conditional means E[t | z] as sums of kernels: ridge regression in closed form, smoothness by cross-validation.

In features that are uncorrelated on the sample with unit variance, the ridge with the kernel's norm shrinks each
coefficient E[psi_j t] by 1 / (1 + lam / s_j), and generalised cross-validation (Golub, Heath, Wahba 1979) chooses lam.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from unseen.errors import NonFiniteError, ShapeError
from unseen.seeds import generator
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.expansion import KernelExpansion
from unseen.systematics.ratio.feature_map import FeatureMap, make_features
from unseen.systematics.ratio.monomials import Floats

__all__ = ["conditional_means", "expand"]

PENALTIES = np.logspace(1, -9, 21)


def conditional_means(
    z: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n_centers: int = 400,
    rank: int = 100,
    widths: Sequence[float] = (0.5, 1.0, 2.0),
    seed: int = 0,
) -> KernelExpansion:
    """E[t | z] of targets (n, t) on events z (n, d). A target that does not vary is reproduced exactly.

    Errors: ShapeError, NonFiniteError, WeightError, NotEnoughEventsError.
    """
    x = checks.as_z("events of a regression", z)
    w = checks.as_weights("events of a regression", weights, len(x))
    t = np.asarray(targets, dtype=np.float64)
    if t.ndim != 2 or len(t) != len(x):
        raise ShapeError(f"targets have shape {t.shape}; expected ({len(x)}, number of targets)")
    if not np.isfinite(t).all():
        raise NonFiniteError(f"targets of event {int(np.argwhere(~np.isfinite(t))[0][0])} are not finite")
    share = w / w.sum()
    features = make_features(x, w, [x], n_centers, rank, tuple(widths), generator(seed, "regression", "centres"))
    mean = share @ t
    psi = features(torch.from_numpy(x)).numpy()[:, 1:]
    plain = psi.T @ (share[:, None] * (t - mean))
    spread = share @ (t - mean) ** 2
    shrunk = np.stack([_shrunk(plain[:, i], spread[i], features, 1.0 / (share**2).sum()) for i in range(t.shape[1])])
    return expand(features, torch.from_numpy(np.hstack([mean[:, None], shrunk])))


def _shrunk(plain: Floats, spread: float, features: FeatureMap, n: float) -> Floats:
    """Coefficients of one target with the penalty of the least generalised cross-validation."""
    s = features.variances.numpy()
    scores, found = [], []
    for penalty in PENALTIES:
        shrink = s / (s + penalty)
        residual = spread - (plain**2 * (2.0 * shrink - shrink**2)).sum()
        scores.append(residual / max(1.0 - (1.0 + shrink.sum()) / n, 1.0 / n) ** 2)
        found.append(plain * shrink)
    best: Floats = found[int(np.argmin(scores))]
    return best


def expand(features: FeatureMap, theta: torch.Tensor) -> KernelExpansion:
    """The functions theta (t, 1 + r) of a one and the features, written as sums of kernels."""
    weights = features.projection @ theta[:, 1:].T
    constant = theta[:, 0] - features.offset @ weights
    return KernelExpansion(
        mean=features.mean.numpy(),
        std=features.std.numpy(),
        centers=features.centers.numpy(),
        widths=features.widths.numpy(),
        weights=weights.contiguous().numpy(),
        constant=constant.numpy(),
    )
