"""The kind `kernel`: coefficients of log r that are sums of Gaussian kernels of several widths, plus a constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.expansion import KernelExpansion
from unseen.systematics.ratio.monomials import Coefficients, Floats, from_columns, n_monomials
from unseen.systematics.ratio.source import Arrays

__all__ = ["KernelSource"]


@dataclass(frozen=True, eq=False)
class KernelSource:
    """An expansion with one function for each of the monomials of k parameters. Errors: ValueError (another number)."""

    kind: ClassVar[str] = "kernel"

    expansion: KernelExpansion
    n_nuisances: int

    def __post_init__(self) -> None:
        p = n_monomials(self.n_nuisances)
        if self.expansion.constant.shape != (p,):
            raise ValueError(f"{self.n_nuisances} parameters need {p} functions, not {len(self.expansion.constant)}")

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return self.expansion.n_features

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of z (n, d)."""
        return from_columns(self.expansion(z), self.n_nuisances)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Those of the expansion."""
        return self.expansion.arrays()

    def settings(self) -> dict[str, Any]:
        """The number of parameters."""
        return {"n_nuisances": self.n_nuisances}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> KernelSource:
        """The source of which these are the arrays and settings."""
        return cls(KernelExpansion.restore(arrays), int(settings["n_nuisances"]))
