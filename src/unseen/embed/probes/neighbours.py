"""How much of the classes the nearest events tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.embed.probes.split import Part

__all__ = ["K", "nearest"]

K = 20


def nearest(fit: Part, weight: NDArray[np.float64], x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Weighted votes of the K = 20 nearest events, in columns standardised with the weighted moments of the fit.

    Neighbours are looked for among all events of the fit, whatever their weight, and vote with it: with n_k of K
    neighbours in class k, density p_k and share q_k in the fit, n_k goes as q_k p_k, and the vote as the wanted
    share times p_k. A tie goes to the class that comes first. `seed` is not used: nothing is random.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(fit.x, sample_weight=weight)
    k = min(K, len(fit.x))
    found = NearestNeighbors(n_neighbors=k).fit(scaler.transform(fit.x))
    rows = found.kneighbors(scaler.transform(x), return_distance=False)
    n_classes = int(fit.y.max()) + 1
    cell = np.arange(len(x))[:, None] * n_classes + fit.y[rows]
    votes = np.bincount(cell.ravel(), weights=weight[rows].ravel(), minlength=len(x) * n_classes)
    votes = votes.reshape(len(x), n_classes)
    share: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
    return share
