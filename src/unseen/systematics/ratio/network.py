"""The kind `network`: coefficients from a perceptron, as stage B trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.monomials import Coefficients, Floats, from_columns, monomials, n_monomials
from unseen.systematics.ratio.perceptron import Perceptron
from unseen.systematics.ratio.source import Arrays

__all__ = ["NetworkSource"]


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
        """None beside the arrays."""
        return {}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> NetworkSource:
        """From arrays and settings."""
        return cls(Perceptron.restore(arrays), arrays["scale"])
