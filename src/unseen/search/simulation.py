"""The events that toys are made of: reference and pool together, and what each of them may play."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ConfigError
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.profile_nuisances import columns_for
from unseen.search.profile_ratio import RatioSource
from unseen.search.profile_toys import plan_profiled
from unseen.search.toys import REFERENCES, ToyPlan, plan_toys
from unseen.search.validate import Floats, Keys, as_events, as_weights, check_name, row_keys

__all__ = ["Simulation", "checked_simulation", "simulation_of"]


@dataclass(frozen=True)
class Simulation:
    """Reference and pool z (n, d) in standardised units, side by side in this order: the union.

    `weights` (n_reference + n_pool,) are the union's weights as reference; `source` (same) the relative rate at which
    the null produces each event as data, zero for a reference that is held fixed; `accept` the same as a probability,
    None where all are alike. `reference` is "redrawn" or "fixed". `beside` (n_pool, p) are the pool's columns psi where
    nuisance parameters are profiled.
    """

    fitted: Fitted
    pool: Floats
    weights: Floats
    source: Floats
    accept: Floats | None
    reference: str
    beside: Floats | None = None
    _held: dict[int, Features] = field(default_factory=dict, repr=False, compare=False)

    def union(self, k: int) -> Features:
        """Return the features of reference and pool at map k.

        One map's features are kept, so that a calibration and its check compute them once.
        """
        if k not in self._held:
            self._held.clear()
            phi, _ = self.fitted.reference_features(k)
            if len(self.pool):
                phi = phi.join(self.fitted.features(k, self.pool, phi.held_bytes, self.beside))
            self._held[k] = phi
        return self._held[k]

    def alone(self, k: int, budget: float) -> Simulation:
        """Return the same with the features of map k and no other, as `Fitted.alone`."""
        own = replace(self, fitted=self.fitted.alone(k, budget), _held={})
        own.union(k)
        return own

    def without_features(self) -> Simulation:
        """Return the same without anything that was computed but small matrices: what is worth sending."""
        return replace(self, fitted=self.fitted.without_features(), _held={})

    @property
    def n_maps(self) -> int:
        """Number of widths of all embeddings."""
        return len(self.fitted.settings.maps)

    @property
    def n_effective(self) -> int:
        """Pool events that hit-or-miss unweighting would leave."""
        n = len(self.fitted.z)
        return len(self.pool) if self.accept is None else int(self.accept[n:].sum())

    def plan(
        self,
        n_toys: int,
        seed: int,
        n_data: int | None,
        signal: tuple[int, int] = (0, 0),
        nu: tuple[float, ...] | None = None,
    ) -> ToyPlan:
        """Return the plan of `n_toys` toys, each with signal[0] of signal[1] signal events on top of its background.

        `nu` are the profiled nuisance parameters of all toys; None throws them. Raises NotEnoughEventsError if the pool
        is too small, or the signal.
        """
        nuisances, plan = self.fitted.nuisances, self.nominal_plan(n_toys, seed, n_data, signal)
        if nuisances is None or self.beside is None or self.fitted.beside is None:
            return plan
        psi = np.concatenate([self.fitted.beside, self.beside])
        return plan_profiled(
            plan, nuisances, self.source, psi, nu, fixed_n=n_data is not None, assumed=self.fitted.assumed
        )

    def nominal_plan(self, n_toys: int, seed: int, n_data: int | None, signal: tuple[int, int] = (0, 0)) -> ToyPlan:
        """Return the plan of toys whose background is nominal, whatever is profiled."""
        option = self.fitted.normalisation
        return plan_toys(
            n_toys,
            self.fitted.expected,
            len(self.fitted.z),
            len(self.pool),
            self.reference,
            seed,
            n_data,
            accept=self.accept,
            # Toys of the data's own N_D condition on the yield, its auxiliary measurement included.
            sigma=0.0 if option.free or n_data is not None else option.sigma,
            signal=signal,
            assumed=self.fitted.assumed,
        )


def simulation_of(
    fitted: Fitted, pool: Floats, weights: Floats | None, reference: str, beside: Floats | None = None
) -> Simulation:
    """Return the union of the reference and `pool` (standardised, with its weights, None for equal ones).

    Both have the same mean weight by construction: they are samples of one generator, whatever their normalisation.
    """
    option = _reference_option(fitted, weights, reference)
    n, flat = len(fitted.z), fitted.uniform and (weights is None or np.ptp(weights) == 0)
    u_pool = np.ones(len(pool)) if weights is None else weights / weights.mean()
    u_reference = np.ones(n) if fitted.uniform else fitted.weights / fitted.weights.mean()  # exactly equal if equal
    union = np.concatenate([u_reference, u_pool])
    source = union.copy()
    if option == "fixed":
        source[:n] = 0.0
        union[n:] = 0.0
        flat = weights is None or np.ptp(weights) == 0
    accept = None if flat else source / source.max()
    if len(pool) == 0:  # asymptotic without a pool: the reference alone is the source
        option, source, accept = "redrawn", union.copy(), None
    return Simulation(fitted, pool, union, source, accept, option, beside)


def checked_simulation(
    fitted: Fitted,
    pool: ArrayLike | None,
    weights: ArrayLike | None,
    method: str,
    mode: str,
    reference: str,
    ratio: RatioSource | None,
) -> tuple[Simulation, Keys]:
    """Return the union of reference and `pool` as it was handed in, and the pool's keys; every fault is named.

    No pool is an empty one, for the analytic null of the linear statistic alone. Permutations redraw equal weights
    only.
    """
    n_features, w = fitted.z.shape[1], None
    if pool is None:
        if fitted.nuisances is not None or (method != "asymptotic" and (method, mode) != ("auto", "linear")):
            raise ConfigError(f"method '{method}' needs a pool of simulated events; only 'asymptotic' does without")
        x = np.empty((0, n_features))
    else:
        x = as_events("pool", pool, n_features)
        w = None if weights is None else as_weights("the weights of the pool", weights, len(x))
    keys = row_keys(x)
    fitted.check_new("data" if method == "permutation" else "pool", keys)
    if method == "permutation":
        reference = "redrawn"
        if not fitted.uniform:
            raise ConfigError("permutations need equal reference weights: an event's weight tells what it is")
    beside = columns_for(fitted.nuisances, "the pool", ratio, x)
    return simulation_of(fitted, fitted.settings.scale(x), w, reference, beside), keys


def _reference_option(fitted: Fitted, weights: Floats | None, reference: str) -> str:
    """Return "redrawn" or "fixed"; a weighted reference cannot be redrawn from a pool without weights."""
    possible = fitted.uniform or (weights is not None and bool((fitted.weights >= 0).all()))
    if reference == "auto":
        return "redrawn" if possible else "fixed"
    if check_name("reference option", reference, REFERENCES) == "redrawn" and not possible:
        raise ConfigError(
            "reference='redrawn' needs equal weights or a pool with weights of the same generator, this reference is "
            "weighted: use reference='fixed', or pass the weights of the pool"
        )
    return reference
