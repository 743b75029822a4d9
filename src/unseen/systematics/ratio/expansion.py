"""Functions of z that are sums of Gaussian kernels of several widths, plus a constant.

    c_t(z) = constant_t + sum_j weights_jt k(z, centre_j)

with `mean_kernel` in standardised features. Far from every centre they are the constants.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.source import Arrays

__all__ = ["ROWS", "KernelExpansion", "mean_kernel"]

ROWS = 4096  # events at a time


def mean_kernel(x: Tensor, centers: Tensor, widths: Tensor) -> Tensor:
    """k(x, c) (n, M): Gaussians exp(-|x - c|^2 / (2 s^2)) of all `widths` s, averaged with weights s^2.

    The weights make wide, smooth functions cheap and fine ones dear.
    """
    origin = centers.mean(0)  # products of features far from zero would cancel
    x, centers = x - origin, centers - origin
    squared = torch.addmm(x.square().sum(1, keepdim=True), x, centers.T, alpha=-2.0)
    squared = squared.add_(centers.square().sum(1)).clamp_(min=0.0)
    total = torch.zeros_like(squared)
    for width in widths.tolist():
        total += (squared * (-0.5 / width**2)).exp_().mul_(width**2)
    return total / widths.square().sum()


@dataclass(frozen=True, eq=False)
class KernelExpansion:
    """Centres (M, d) and widths (s,) in standardised features, weights (M, t) and constants (t,) of t functions.

    Errors: ValueError (shapes that do not fit, values that are not finite).
    """

    mean: Floats
    std: Floats
    centers: Floats
    widths: Floats
    weights: Floats
    constant: Floats

    def __post_init__(self) -> None:
        (m, d), t = self.centers.shape, len(self.constant)
        shapes = {"mean": (d,), "std": (d,), "widths": (len(self.widths),), "weights": (m, t), "constant": (t,)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"'{name}' of kernels has shape {value.shape} or is not finite; expected {shape}")

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return int(self.centers.shape[1])

    def __call__(self, z: Floats) -> Floats:
        """Return c(z) (n, t) of z (n, d)."""
        centers, widths = torch.from_numpy(self.centers), torch.from_numpy(self.widths)
        weights, constant = torch.from_numpy(self.weights), torch.from_numpy(self.constant)
        result = np.empty((len(z), len(self.constant)))
        for first in range(0, len(z), ROWS):
            x = torch.from_numpy((z[first : first + ROWS] - self.mean) / self.std)
            result[first : first + ROWS] = (constant + mean_kernel(x, centers, widths) @ weights).numpy()
        return result

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """All of it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def restore(cls, arrays: Arrays) -> KernelExpansion:
        """The functions of which these are the arrays; KeyError, ValueError."""
        return cls(**{each.name: np.asarray(arrays[each.name], dtype=np.float64) for each in fields(cls)})
