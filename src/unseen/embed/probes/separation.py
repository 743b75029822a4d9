"""Separation: how far apart the classes lie in units of their width."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.embed.probes.checks import as_embedding, as_target, as_weight
from unseen.embed.probes.spread import weighted_moments
from unseen.errors import NotEnoughEventsError
from unseen.seeds import generator

__all__ = ["fisher_ratio", "silhouette"]

FLAT = 1e-12  # of the total spread: a direction with less than this within the classes is left out
MOST_PER_CLASS = 500


def fisher_ratio(z: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> float:
    """J = tr(S_W^-1 S_B) of z (n, d): spread between class means over spread within (Fisher 1936; Fukunaga, ch. 10).

    With class shares p_k, means m_k and covariances C_k: S_W = sum p_k C_k, S_B = sum p_k (m_k - m)(m_k - m)^T. Any
    invertible linear map of z leaves J as it is. Directions without spread within the classes are left out.
    Errors: NotEnoughEventsError (fewer than two classes).
    """
    x = standard_columns(as_embedding(z))
    y, w = as_target(target, len(x)), as_weight(weight, len(x))
    codes = _classes(y, w)
    mean = weighted_moments(x, w)[0]
    within, between = (np.zeros((x.shape[1], x.shape[1])) for _ in range(2))
    for code in codes:
        mine = y == code
        share = w[mine].sum() / w.sum()
        centre, covariance = weighted_moments(x[mine], w[mine])
        within += share * covariance
        between += share * np.outer(centre - mean, centre - mean)
    values, vectors = np.linalg.eigh(within)
    usable = values > FLAT * max(np.trace(within + between), np.finfo(np.float64).tiny)
    along = np.einsum("ik,ij,jk->k", vectors, between, vectors)
    return float((along[usable] / values[usable]).sum())


def silhouette(z: ArrayLike, target: ArrayLike, seed: int = 0, most_per_class: int = MOST_PER_CLASS) -> float:
    """Mean over the classes of the silhouette (Rousseeuw 1987) of their events in z (n, d), with scikit-learn.

    (b - a) / max(a, b) with a the mean distance to the own class and b to the nearest other one: 1 far apart, 0 on
    top of each other. At most `most_per_class` random events of a class are used; its size and weights do not matter.
    Errors: NotEnoughEventsError (fewer than two classes with two events).
    """
    from sklearn.metrics import silhouette_samples

    x = as_embedding(z)
    y = as_target(target, len(x))
    order = generator(seed, "silhouette").permutation(len(x))
    picked = [order[y[order] == code][:most_per_class] for code in np.unique(y)]
    rows = np.concatenate([mine for mine in picked if len(mine) > 1] or [order[:0]])
    codes = _classes(y[rows], np.ones(len(rows)))
    value = silhouette_samples(x[rows], y[rows])
    return float(np.mean([value[y[rows] == code].mean() for code in codes]))


def standard_columns(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns divided by their spread, so that units do not decide what counts as flat; a constant one stays."""
    spread = x.std(axis=0)
    columns: NDArray[np.float64] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return columns


def _classes(y: NDArray[np.int64], w: NDArray[np.float64]) -> NDArray[np.int64]:
    codes = np.unique(y[w > 0])
    if len(codes) < 2:
        raise NotEnoughEventsError(f"separation needs two classes or more; the events have {len(codes)}")
    return codes
