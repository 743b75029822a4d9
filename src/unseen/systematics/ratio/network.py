"""The kinds `network` and `free-network`: coefficients from a perceptron, as stage B trains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.monomials import Coefficients, Floats, from_columns, monomials, n_monomials
from unseen.systematics.ratio.source import Arrays

__all__ = ["FreeNetworkSource", "NetworkSource", "Perceptron"]

BLOCK = 16384  # rows at a time


@dataclass(frozen=True, eq=False)
class Perceptron:
    """(x - mean) / deviation through linear layers with ReLU between them; weights (out, in), biases (out,)."""

    mean: Floats
    deviation: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __post_init__(self) -> None:
        sizes = [len(self.mean), *(len(bias) for bias in self.biases)]
        shapes = [weight.shape for weight in self.weights]
        if shapes != list(zip(sizes[1:], sizes[:-1], strict=True)) or not shapes:
            raise ValueError(f"layers of shapes {shapes} do not follow each other from {sizes[0]} inputs")
        if self.deviation.shape != self.mean.shape or not (self.deviation > 0).all():
            raise ValueError("the deviations of the inputs are not positive, one for each")

    def __call__(self, x: Floats) -> Floats:
        """(n, in) -> (n, out)."""
        return np.concatenate([self._block(x[i : i + BLOCK]) for i in range(0, max(len(x), 1), BLOCK)])

    def _block(self, x: Floats) -> Floats:
        h = (x - self.mean) / self.deviation
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.maximum(h @ weight.T + bias, 0.0)
        out: Floats = h @ self.weights[-1].T + self.biases[-1]
        return out

    def arrays(self) -> dict[str, Floats]:
        """By name, for a file."""
        layers = {f"weight_{i}": value for i, value in enumerate(self.weights)}
        return {"mean": self.mean, "deviation": self.deviation, **layers} | {
            f"bias_{i}": value for i, value in enumerate(self.biases)
        }

    @classmethod
    def restore(cls, arrays: Arrays, n_layers: int) -> Perceptron:
        """From `arrays`. Errors: KeyError, ValueError."""
        columns: list[Sequence[NDArray[Any]]] = [
            [np.asarray(arrays[f"{name}_{i}"], dtype=np.float64) for i in range(n_layers)]
            for name in ("weight", "bias")
        ]
        return cls(arrays["mean"], arrays["deviation"], tuple(columns[0]), tuple(columns[1]))


@dataclass(frozen=True, eq=False)
class NetworkSource:
    """log r = c(z) . m(nu / scale), c a perceptron and scale (k,) the largest |nu| of its training."""

    kind: ClassVar[str] = "network"

    network: Perceptron
    scale: Floats

    def __post_init__(self) -> None:
        outputs = len(self.network.biases[-1])
        if outputs != n_monomials(len(self.scale)):
            raise ValueError(f"a network of {outputs} outputs for {len(self.scale)} parameters")

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return len(self.network.mean)

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters."""
        return len(self.scale)

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients."""
        return from_columns(self.network(z) / monomials(self.scale[None, :]), len(self.scale))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Layers and scales."""
        return {**self.network.arrays(), "scale": self.scale}

    def settings(self) -> dict[str, Any]:
        """The number of layers."""
        return {"n_layers": len(self.network.weights)}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> NetworkSource:
        """From arrays and settings."""
        return cls(Perceptron.restore(arrays, int(settings["n_layers"])), arrays["scale"])


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
        """The number of layers."""
        return {"n_layers": len(self.network.weights)}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> FreeNetworkSource:
        """From arrays and settings."""
        return cls(Perceptron.restore(arrays, int(settings["n_layers"])), arrays["scale"], arrays["nodes"])
