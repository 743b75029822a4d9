"""Which share of the nominal rate at z each process has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NuisanceError
from unseen.systematics.ratio.expansion import KernelExpansion
from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.network_fractions import NetworkFractions
from unseen.systematics.ratio.source import Arrays

__all__ = ["FRACTIONS", "Fractions", "FunctionFractions", "KernelFractions"]


class Fractions(Protocol):
    """pi(z) (n, P), rows that sum to one. A new kind is a class and a line in `FRACTIONS`."""

    kind: ClassVar[str]

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""

    def __call__(self, z: Floats) -> Floats:
        """pi (n, P) of z (n, d)."""

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What `restore` needs."""

    @classmethod
    def restore(cls, arrays: Arrays) -> Fractions:
        """The fractions of which these are the arrays; KeyError or ValueError if they are not."""


@dataclass(frozen=True, eq=False)
class KernelFractions:
    """The least-squares fit of which process an event is, as kernels; negative values are set to zero."""

    kind: ClassVar[str] = "kernel"

    expansion: KernelExpansion

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return self.expansion.n_features

    def __call__(self, z: Floats) -> Floats:
        """pi (n, P) of z (n, d)."""
        share = self.expansion(z).clip(min=0.0)
        result: Floats = share / share.sum(axis=1, keepdims=True)  # they sum to one before the clipping: never to zero
        return result

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Those of the kernels."""
        return self.expansion.arrays()

    @classmethod
    def restore(cls, arrays: Arrays) -> KernelFractions:
        """The fractions of which these are the arrays."""
        return cls(KernelExpansion.restore(arrays))


@dataclass(frozen=True, eq=False)
class FunctionFractions:
    """A function z (n, d) -> pi (n, P). It cannot be saved."""

    kind: ClassVar[str] = "function"

    function: Callable[[Floats], Any]
    n_features: int

    def __call__(self, z: Floats) -> Floats:
        """pi (n, P) of z (n, d)."""
        return np.asarray(self.function(z), dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """None: NuisanceError, since a saved function would be code."""
        raise NuisanceError("fractions made of a function cannot be saved; fit kernels to them (fit_mixture_ratio)")

    @classmethod
    def restore(cls, arrays: Arrays) -> FunctionFractions:
        """ValueError: it cannot be saved."""
        raise ValueError("fractions made of a function cannot be read from a file")


FRACTIONS: dict[str, type[Fractions]] = {
    "function": FunctionFractions,
    "kernel": KernelFractions,
    "network": NetworkFractions,
}
