"""The same generated events at different nuisance parameters, as every measurement of covariance takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.search import RatioCoefficients
from unseen.search.profile_ratio import RatioLike, coefficients_for
from unseen.search.validate import Floats, as_events, as_weights

__all__ = ["At", "Delta", "Moved", "coefficients", "moved", "nu_grid"]

Delta = Callable[[Floats], RatioLike]  # events z (n, d) -> coefficients of log r(z; nu); a DensityRatio is one


@dataclass(frozen=True, eq=False)
class Moved:
    """One pool of generated events at `nu` (k,): z (n, d) and `weights` (n,), zero where an event is not selected.

    `nominal` (n,) are the weights of the same events at nu = 0, so that `rate`, the yield over the nominal one, is a
    ratio of acceptances of the same events.
    """

    nu: Floats
    z: Floats
    weights: Floats
    nominal: Floats

    @property
    def rate(self) -> float:
        """Yield at nu over the nominal yield."""
        return float(self.weights.sum() / self.nominal.sum())

    @property
    def shares(self) -> Floats:
        """Weights (n,) in units of the nominal yield: they sum to `rate`."""
        shares: Floats = self.weights / self.nominal.sum()
        return shares


At = Callable[[Floats], Moved]  # nu (k,) -> a pool's events there, always the same events in the same order


def moved(nu: ArrayLike, z: ArrayLike, weights: ArrayLike | None = None, nominal: ArrayLike | None = None) -> Moved:
    """Return checked events at nu; weights are 1 unless given. Errors: ShapeError, NonFiniteError, WeightError."""
    at = np.asarray(nu, dtype=np.float64).reshape(-1)
    events = as_events(f"the events at nu = {np.round(at, 3).tolist()}", z)
    w = as_weights("weights", weights, len(events))
    return Moved(at, events, w, as_weights("nominal weights", nominal, len(events)))


def coefficients(name: str, delta: Delta, z: Floats, k: int | None = None) -> RatioCoefficients:
    """Return delta of events z (n, d) called `name`; ShapeError unless it is one of `k` nuisance parameters."""
    found = coefficients_for(name, delta, z)
    if k is not None and found.size != k:
        raise ShapeError(f"the ratio has {found.size} nuisance parameters {found.names}; nu has {k} values")
    return found


def nu_grid(
    k: int, values: Sequence[float] = (-2.0, -1.0, 1.0, 2.0), combinations: int = 4, seed: int = 0
) -> list[Floats]:
    """Return points nu (k,): each parameter alone at each of `values`, then `combinations` of all of them.

    Combinations are drawn from the unit Gaussian within the range of `values`; one parameter has none.
    """
    if k < 1 or not values:
        raise NotEnoughEventsError("a grid needs at least one nuisance parameter and one value")
    axes = [value * np.eye(k)[i] for i in range(k) for value in values]
    rng, edge = np.random.default_rng([seed, k]), float(np.abs(np.asarray(values)).max())
    mixed = [np.clip(rng.normal(size=k), -edge, edge) for _ in range(combinations if k > 1 else 0)]
    return [np.asarray(nu, dtype=np.float64) for nu in (*axes, *mixed)]
