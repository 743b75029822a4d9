"""Fractions of processes from a perceptron, as stage B trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.perceptron import Perceptron
from unseen.systematics.ratio.source import Arrays

__all__ = ["NetworkFractions"]


@dataclass(frozen=True, eq=False)
class NetworkFractions:
    """pi(z), the softmax of a perceptron: a classifier trained by cross-entropy at the rates of the sample."""

    kind: ClassVar[str] = "network"

    network: Perceptron

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return len(self.network.mean)

    def __call__(self, z: Floats) -> Floats:
        """pi (n, P) of z (n, d)."""
        logits = self.network(z)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Floats = share / share.sum(axis=1, keepdims=True)
        return result

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The layers."""
        return self.network.arrays()

    @classmethod
    def restore(cls, arrays: Arrays) -> NetworkFractions:
        """The fractions of which these are the arrays."""
        return cls(Perceptron.restore(arrays))
