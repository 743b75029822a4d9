"""The kind `joined`: ratios of different parameters side by side, log r(z; (a, b)) = log r(z; a) + log r(z; b).

Right if neither changes how the other acts: for an overall yield exactly, for weights that hardly depend on what moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ShapeError
from unseen.systematics.ratio.monomials import Coefficients, Floats
from unseen.systematics.ratio.parts import pack_parts, unpack_parts
from unseen.systematics.ratio.source import Arrays, RatioSource

__all__ = ["JoinedSource"]


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """Ratios `parts` whose parameters follow each other; no terms across them. Errors: ShapeError."""

    kind: ClassVar[str] = "joined"

    parts: tuple[RatioSource, ...]

    def __post_init__(self) -> None:
        found = sorted({part.n_features for part in self.parts})
        if len(found) != 1:
            raise ShapeError(f"ratios for {found} features cannot be joined; they have to be of one embedding")

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return self.parts[0].n_features

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters of all parts."""
        return sum(part.n_nuisances for part in self.parts)

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of z (n, d)."""
        k = self.n_nuisances
        linear, quadratic, first = np.zeros((len(z), k)), np.zeros((len(z), k, k)), 0
        for part in self.parts:
            own = slice(first, first + part.n_nuisances)
            linear[:, own], quadratic[:, own, own] = part.coefficients(z)
            first += part.n_nuisances
        return linear, quadratic

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Those of the parts."""
        return pack_parts(self.parts)[0]

    def settings(self) -> dict[str, Any]:
        """Those of the parts."""
        return {"parts": pack_parts(self.parts)[1]}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> JoinedSource:
        """The source of which these are the arrays and settings."""
        return cls(unpack_parts(arrays, settings["parts"]))
