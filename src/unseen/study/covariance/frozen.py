"""A ratio with some nuisance parameters held at fixed values: what is left is a ratio of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unseen.errors import NuisanceError, did_you_mean
from unseen.search import RatioCoefficients
from unseen.search.validate import Floats
from unseen.study.covariance.moved import Delta, coefficients

__all__ = ["FrozenRatio", "freeze_nuisances"]


@dataclass(frozen=True)
class FrozenRatio:
    """delta of the free parameters `names` where the others are at `values`, relative to the rate there.

    log r(z; nu) - log r(z; values): a function of events, as `delta` is. Its reference is the nominal one weighted by
    r(z; values), the others at 0.
    """

    delta: Delta
    every: tuple[str, ...]
    values: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are left."""
        return tuple(name for name in self.every if name not in self.values)

    def __call__(self, z: Floats) -> RatioCoefficients:
        """Return the coefficients of events z (n, d)."""
        found, free, at = coefficients("the events", self.delta, z), self._free(), self._at()
        linear, quadratic = found.linear[:, free], found.quadratic
        if quadratic is None:
            return RatioCoefficients(linear, None, self.names)
        both = quadratic + quadratic.transpose(0, 2, 1)
        linear = linear + np.einsum("nkl,l->nk", both[:, free], at)
        return RatioCoefficients(linear, quadratic[:, free][:, :, free], self.names)

    def _free(self) -> list[int]:
        return [i for i, name in enumerate(self.every) if name not in self.values]

    def _at(self) -> Floats:
        return np.array([self.values.get(name, 0.0) for name in self.every])


def freeze_nuisances(delta: Delta, names: tuple[str, ...], values: Mapping[str, float]) -> FrozenRatio:
    """Return the ratio with the parameters of `values` held there. Raises NuisanceError (no such name, none left)."""
    for name in values:
        if name not in names:
            raise NuisanceError(f"no nuisance '{name}'{did_you_mean(name, names)}")
    if len(values) == len(names):
        raise NuisanceError("all nuisance parameters would be frozen: use a test without a ratio")
    return FrozenRatio(delta, names, dict(values))
