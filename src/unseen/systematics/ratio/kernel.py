"""The kind `kernel`: coefficients of log r that are sums of Gaussian kernels of several widths, plus a constant.

    c_m(z) = constant_m + sum_j weights_jm k(z, centre_j),    k(z, c) = mean over widths s of exp(-|z - c|^2 / (2 s^2))

in standardised features. Far from every centre the ratio is that of the constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.systematics.ratio.monomials import Coefficients, Floats, from_columns, n_monomials
from unseen.systematics.ratio.source import Arrays

__all__ = ["ROWS", "KernelSource", "mean_kernel"]

ROWS = 8192  # events at a time


def mean_kernel(x: Tensor, centers: Tensor, widths: Tensor) -> Tensor:
    """k(x, c) (n, M), the mean of Gaussians of several `widths` (s,)."""
    origin = centers.mean(0)  # products of features far from zero would cancel
    x, centers = x - origin, centers - origin
    squared = torch.addmm(x.square().sum(1, keepdim=True), x, centers.T, alpha=-2.0)
    squared = squared.add_(centers.square().sum(1)).clamp_(min=0.0)
    total = torch.zeros_like(squared)
    for width in widths.tolist():
        total += (squared * (-0.5 / width**2)).exp_()
    return total / len(widths)


@dataclass(frozen=True, eq=False)
class KernelSource:
    """Centres (M, d) and widths (s,) in standardised features, weights (M, p) and constants (p,) of the p monomials."""

    kind: ClassVar[str] = "kernel"

    mean: Floats
    std: Floats
    centers: Floats
    widths: Floats
    weights: Floats
    constant: Floats
    n_nuisances: int

    def __post_init__(self) -> None:
        (m, d), p = self.centers.shape, n_monomials(self.n_nuisances)
        shapes = {"mean": (d,), "std": (d,), "widths": (len(self.widths),), "weights": (m, p), "constant": (p,)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"'{name}' of a kernel ratio has shape {value.shape} or is not finite; expected {shape}"
                )

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return int(self.centers.shape[1])

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of z (n, d)."""
        centers, widths = torch.from_numpy(self.centers), torch.from_numpy(self.widths)
        weights, constant = torch.from_numpy(self.weights), torch.from_numpy(self.constant)
        columns = np.empty((len(z), len(self.constant)))
        for first in range(0, len(z), ROWS):
            x = torch.from_numpy((z[first : first + ROWS] - self.mean) / self.std)
            columns[first : first + ROWS] = (constant + mean_kernel(x, centers, widths) @ weights).numpy()
        return from_columns(columns, self.n_nuisances)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """All of it."""
        return {name: getattr(self, name) for name in ("mean", "std", "centers", "widths", "weights", "constant")}

    def settings(self) -> dict[str, Any]:
        """The number of parameters."""
        return {"n_nuisances": self.n_nuisances}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> KernelSource:
        """The source of which these are the arrays and settings."""
        names = ("mean", "std", "centers", "widths", "weights", "constant")
        parts = {name: np.asarray(arrays[name], dtype=np.float64) for name in names}
        return cls(**parts, n_nuisances=int(settings["n_nuisances"]))
