"""Effective rank: how many directions an embedding really uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from unseen.embed.probes.checks import as_embedding, as_weight

__all__ = ["effective_rank"]


def effective_rank(z: ArrayLike, weight: ArrayLike | None = None) -> float:
    """exp of the entropy of the normalised singular values of the centred z (n, d); Roy and Vetterli, EUSIPCO 2007.

    Between 1 (a line) and d (equal spread in every direction); 0 where all events are one point. It depends on the
    scale of the columns, as a collapse of one of them should.
    """
    x = as_embedding(z)
    w = as_weight(weight, len(x))
    share = w / w.sum()
    singular = np.linalg.svd(np.sqrt(share)[:, None] * (x - share @ x), compute_uv=False)
    if not singular.sum() > 0:
        return 0.0
    return float(np.exp(entr(singular / singular.sum()).sum()))
