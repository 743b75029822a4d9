"""log r(z; nu) = c(z) . m(nu): the monomials m of second degree in nu, and c(z) as linear and quadratic coefficients.

m(nu) = (nu_1, ..., nu_k, nu_1 nu_1, nu_1 nu_2, ..., nu_k nu_k): k linear ones, then the pairs i <= j.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coefficients", "Floats", "from_columns", "labels", "monomials", "n_monomials", "pairs", "to_columns"]

Floats = NDArray[np.float64]
Coefficients = tuple[Floats, Floats]  # linear (n, k), quadratic (n, k, k), symmetric


def pairs(k: int) -> list[tuple[int, int]]:
    """The pairs i <= j of k parameters."""
    return [(i, j) for i in range(k) for j in range(i, k)]


def n_monomials(k: int) -> int:
    """Number p of monomials."""
    return k + k * (k + 1) // 2


def labels(names: tuple[str, ...]) -> tuple[str, ...]:
    """What the monomials are called.

    >>> labels(("a", "b"))
    ('a', 'b', 'a a', 'a b', 'b b')
    """
    return names + tuple(f"{names[i]} {names[j]}" for i, j in pairs(len(names)))


def monomials(nu: Floats) -> Floats:
    """m (n, p) at nu (n, k)."""
    first, second = (list(index) for index in zip(*pairs(nu.shape[1]), strict=True))
    return np.hstack([nu, nu[:, first] * nu[:, second]])


def from_columns(columns: Floats, k: int) -> Coefficients:
    """Linear (n, k) and symmetric quadratic (n, k, k) coefficients from c (n, p)."""
    quadratic = np.zeros((len(columns), k, k))
    for column, (i, j) in enumerate(pairs(k), start=k):
        half = columns[:, column] / (1.0 if i == j else 2.0)
        quadratic[:, i, j] = half
        quadratic[:, j, i] = half
    return columns[:, :k].copy(), quadratic


def to_columns(linear: Floats, quadratic: Floats) -> Floats:
    """c (n, p) from linear and quadratic coefficients; those of (i, j) and (j, i) are added."""
    parts = [
        quadratic[:, i, j] if i == j else quadratic[:, i, j] + quadratic[:, j, i] for i, j in pairs(linear.shape[1])
    ]
    return np.hstack([linear, np.stack(parts, axis=1)])
