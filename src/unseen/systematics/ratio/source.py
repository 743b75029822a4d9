"""What a density ratio is made of: what gives coefficients of log r for events, and can be written as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from unseen.systematics.ratio.monomials import Coefficients, Floats

__all__ = ["Arrays", "RatioSource"]

Arrays = Mapping[str, NDArray[Any]]


class RatioSource(Protocol):
    """One kind of ratio, for k parameters and d features.

    A new one is a class with these members and a line in `unseen.systematics.ratio.table.SOURCES` under its `kind`.
    """

    kind: ClassVar[str]

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters."""

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of finite events z (n, d), float64."""

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What `restore` needs, as arrays; names without '/'."""

    def settings(self) -> dict[str, Any]:
        """What `restore` needs, as JSON."""

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> RatioSource:
        """The source of which these are the arrays and settings; KeyError, TypeError or ValueError if they are not."""
