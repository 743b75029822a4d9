"""The kind `mixture`: each process p with a ratio of its own, and its fraction pi_p(z) of the nominal rate at z.

    log sum_p pi_p r_p = sum_k nu_k <delta_k> + sum_kl nu_k nu_l ( <delta_kl> + cov(delta_k, delta_l) / 2 ) + O(nu^3)

with means and covariances over the processes under pi(z): the logarithm to second order in nu.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ShapeError
from unseen.systematics.ratio.fractions import FRACTIONS, Fractions
from unseen.systematics.ratio.monomials import Coefficients, Floats
from unseen.systematics.ratio.parts import pack_parts, unpack_parts
from unseen.systematics.ratio.source import Arrays, RatioSource

__all__ = ["MixtureSource", "mix"]

TOLERANCE = 1e-6  # how far fractions may be from a sum of one


def mix(parts: Sequence[Coefficients], fractions: Floats) -> Coefficients:
    """Coefficients of the mixture of P processes with `fractions` (n, P). Errors: ShapeError.

    >>> linear, quadratic = mix([(np.array([[0.2]]), np.zeros((1, 1, 1))), (np.zeros((1, 1)), np.zeros((1, 1, 1)))],
    ...                         np.array([[0.5, 0.5]]))
    >>> linear, quadratic  # log((exp(0.2 nu) + 1) / 2) = 0.1 nu + 0.005 nu^2 + ...
    (array([[0.1]]), array([[[0.005]]]))
    """
    n, k = parts[0][0].shape
    if fractions.shape != (n, len(parts)):
        raise ShapeError(f"fractions have shape {fractions.shape}; expected ({n}, {len(parts)})")
    if n and np.abs(fractions.sum(axis=1) - 1.0).max() > TOLERANCE:
        raise ShapeError(f"fractions of event {int(np.abs(fractions.sum(axis=1) - 1).argmax())} do not sum to one")
    linear, quadratic = np.zeros((n, k)), np.zeros((n, k, k))
    for (first, second), share in zip(parts, fractions.T, strict=True):
        linear += share[:, None] * first
        quadratic += share[:, None, None] * (second + 0.5 * first[:, :, None] * first[:, None, :])
    return linear, quadratic - 0.5 * linear[:, :, None] * linear[:, None, :]


@dataclass(frozen=True, eq=False)
class MixtureSource:
    """Ratios `parts` of P processes and their `fractions` z -> (n, P) of the nominal rate."""

    kind: ClassVar[str] = "mixture"

    parts: tuple[RatioSource, ...]
    fractions: Fractions

    def __post_init__(self) -> None:
        d, k = self.fractions.n_features, self.n_nuisances
        if any(part.n_features != d or part.n_nuisances != k for part in self.parts):
            raise ShapeError(f"every process of a mixture needs a ratio of the same {k} parameters and {d} features")

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return self.parts[0].n_features

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters."""
        return self.parts[0].n_nuisances

    def coefficients(self, z: Floats) -> Coefficients:
        """Linear (n, k) and quadratic (n, k, k) coefficients of z (n, d)."""
        return mix([part.coefficients(z) for part in self.parts], self.fractions(z))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Those of the parts and of the fractions."""
        fractions = {f"fractions/{name}": value for name, value in self.fractions.arrays().items()}
        return pack_parts(self.parts)[0] | fractions

    def settings(self) -> dict[str, Any]:
        """Those of the parts and the kind of the fractions."""
        return {"parts": pack_parts(self.parts)[1], "fractions": self.fractions.kind}

    @classmethod
    def restore(cls, arrays: Arrays, settings: Mapping[str, Any]) -> MixtureSource:
        """The source of which these are the arrays and settings."""
        own = {n.removeprefix("fractions/"): v for n, v in arrays.items() if n.startswith("fractions/")}
        return cls(unpack_parts(arrays, settings["parts"]), FRACTIONS[settings["fractions"]].restore(own))
