"""Chi-squared of the difference of means (Hotelling 1931, with a covariance known from simulation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from unseen.rivals.base import Rival, Seed
from unseen.search.toys import Codes
from unseen.search.validate import Floats

__all__ = ["Mahalanobis"]


class Mahalanobis(Rival):
    """n_R n_D / (n_R + n_D) times the squared Mahalanobis distance of the two means.

    The covariance is the training events'; directions without spread (relative 1e-10) are left out.
    """

    name: ClassVar[str] = "mahalanobis"
    columns = ("mahalanobis",)

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        covariance = np.atleast_2d(np.cov(z, rowvar=False))
        self._precision = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)

    def _attach(self, z: Floats) -> None:
        self._z = z

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        reference, data = codes > 0, codes < 0
        n_r, n_d = reference.sum(1, keepdims=True), data.sum(1, keepdims=True)
        off = data.astype(np.float64) @ self._z / n_d - reference.astype(np.float64) @ self._z / n_r
        distance: Floats = ((off @ self._precision) * off).sum(1, keepdims=True)
        scaled: Floats = n_r * n_d / (n_r + n_d) * distance
        return scaled
