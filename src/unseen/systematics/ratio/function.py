"""The kind `function`: coefficients from a function of events that a user wrote down. It cannot be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NuisanceError, ShapeError
from unseen.systematics.ratio.monomials import Coefficients, Floats
from unseen.systematics.ratio.source import Arrays

__all__ = ["Delta", "FunctionSource"]

Delta = Callable[[Floats], Any]  # z (n, d) -> linear (n, k), or (linear, quadratic (n, k, k) or None)


@dataclass(frozen=True, eq=False)
class FunctionSource:
    """Coefficients delta(z): linear ones (n, k), or a tuple of linear and quadratic ones (n, k, k)."""

    kind: ClassVar[str] = "function"

    delta: Delta
    n_nuisances: int
    n_features: int

    def coefficients(self, z: Floats) -> Coefficients:
        """What the function returns, as arrays. Errors: ShapeError."""
        found = self.delta(z)
        first, second = found if isinstance(found, tuple) else (found, None)
        n, k = len(z), self.n_nuisances
        linear = np.asarray(first, dtype=np.float64)
        quadratic = np.zeros((n, k, k)) if second is None else np.asarray(second, dtype=np.float64)
        if linear.size != n * k or quadratic.size != n * k * k:
            raise ShapeError(
                f"the function of a ratio returned shapes {linear.shape} and {quadratic.shape} for {n} events; "
                f"expected ({n}, {k}) and ({n}, {k}, {k})"
            )
        return linear.reshape(n, k), quadratic.reshape(n, k, k)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """None: NuisanceError, since a saved function would be code."""
        raise NuisanceError(
            "a ratio made of a function cannot be saved; keep the function, or fit a kernel ratio to it"
        )

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> FunctionSource:
        """ValueError: it cannot be saved."""
        raise ValueError("a ratio made of a function cannot be read from a file")
