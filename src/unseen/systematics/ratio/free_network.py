"""The kind `free-network`: any function of z and nu, as stage B trains it, projected on polynomials in nu."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.monomials import Coefficients, Floats, from_columns, monomials
from unseen.systematics.ratio.perceptron import Perceptron
from unseen.systematics.ratio.source import Arrays

__all__ = ["FreeNetworkSource"]


@dataclass(frozen=True, eq=False)
class FreeNetworkSource:
    """log r = g(z, nu / scale) - g(z, 0), projected on polynomials by least squares over the values `nodes` (j, k).

    The nodes are drawn as the nu of the training were, so the projection is the best one there.
    """

    kind: ClassVar[str] = "free-network"

    network: Perceptron
    scale: Floats
    nodes: Floats

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return len(self.network.mean) - len(self.scale)

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters."""
        return len(self.scale)

    def log_ratio(self, z: Floats) -> Floats:
        """log r (n, j) at the nodes, before the projection."""
        scaled, zero = self.nodes / self.scale, np.zeros((len(z), len(self.scale)))
        nominal = self.network(np.hstack([z, zero]))[:, 0]
        at = [self.network(np.hstack([z, np.broadcast_to(nu, zero.shape)]))[:, 0] - nominal for nu in scaled]
        return np.stack(at, axis=1)

    def columns(self, z: Floats) -> Floats:
        """c (n, p) of m(nu / scale) nearest to log r at the nodes."""
        inverse = np.linalg.pinv(monomials(self.nodes / self.scale))
        found: Floats = self.log_ratio(z) @ inverse.T
        return found

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of the projection."""
        return from_columns(self.columns(z) / monomials(self.scale[None, :]), len(self.scale))

    def residual(self, z: Floats) -> float:
        """Root mean square of log r that the projection misses, over that of log r."""
        log_r = self.log_ratio(z)
        missed = log_r - self.columns(z) @ monomials(self.nodes / self.scale).T
        size = float(np.sqrt(np.mean(log_r**2)))
        return float(np.sqrt(np.mean(missed**2))) / size if size > 0 else 0.0

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Layers, scales and nodes."""
        return {**self.network.arrays(), "scale": self.scale, "nodes": self.nodes}

    def settings(self) -> dict[str, Any]:
        """None beside the arrays."""
        return {}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> FreeNetworkSource:
        """From arrays and settings."""
        return cls(Perceptron.restore(arrays), arrays["scale"], arrays["nodes"])
