"""What a calibration computes at one map: statistics of toys, and the analytic null of the linear one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.search.analytic import AnalyticNull, Yield, analytic_null, fourth_moment, measure
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.profile_null import profiled_null
from unseen.search.refit import Recipe, ToyFits, batches, fit_toys, make_fits
from unseen.search.simulation import Simulation
from unseen.search.statistic import LinearForm
from unseen.search.toys import ToyPlan
from unseen.search.validate import Floats

__all__ = ["Found", "Moments", "Throw", "analytic_nulls", "at_map", "fits_of"]

Tick = Callable[[int], None]


@dataclass(frozen=True)
class Throw:
    """Toys: how many, of which statistic and seed, with N_D and nu fixed or not. A simulation makes a plan of it."""

    mode: str
    n_toys: int
    seed: int
    n_data: int | None
    nu: tuple[float, ...] | None = None

    def plan(self, simulation: Simulation) -> ToyPlan:
        """Return what each toy is. Raises NotEnoughEventsError if the pool is too small."""
        return simulation.plan(self.n_toys, self.seed, self.n_data, nu=self.nu)


@dataclass(frozen=True)
class Moments:
    """An analytic null: N_D, fixed or not, and how many events its moments are measured on, all and in `parts`."""

    n_data: int | None
    n_events: int
    parts: int = 1


@dataclass(frozen=True)
class Found:
    """t and the linear statistic of toys (n_toys,), none if none were asked for, and the analytic nulls."""

    t: Floats
    linear: Floats
    nulls: tuple[AnalyticNull, ...]


def at_map(simulation: Simulation, k: int, throw: Throw | None, moments: Moments, tick: Tick) -> Found:
    """Return what is asked of map k, computed in this process."""
    nulls = analytic_nulls(simulation, k, moments)
    if throw is None:
        return Found(np.empty(0), np.empty(0), nulls)
    fits = fits_of(simulation, k, throw)
    t, linear = fit_toys(fits, batches(fits.plan, len(fits.union)), tick)
    return Found(t, linear, nulls)


def fits_of(simulation: Simulation, k: int, throw: Throw) -> ToyFits:
    """Return what the toys of map k are fitted with."""
    fitted = simulation.fitted
    union, chord = simulation.union(k), fitted.reference_features(k)[1]
    recipe = Recipe.of(fitted, k, throw.mode)
    weights = torch.from_numpy(simulation.weights).to(fitted.compute.device)
    return make_fits(throw.plan(simulation), union, weights, chord, fitted.form(k), recipe)


def analytic_nulls(simulation: Simulation, k: int, moments: Moments) -> tuple[AnalyticNull, ...]:
    """Return the analytic null of the linear statistic at map k, and those from parts of the simulation.

    At most `n_events` events are used, spread over the union: their noise adds about rank / n_events to t's variance.
    """
    n_events, parts = moments.n_events, moments.parts
    phi, form = simulation.union(k), simulation.fitted.form(k)
    source = simulation.source
    rows = np.flatnonzero(source)
    if len(rows) > n_events:
        rows = rows[np.linspace(0, len(rows) - 1, n_events).astype(np.int64)]
    if len(rows) < len(source):
        phi, source = phi.take(rows), source[rows]
    part = np.arange(len(source)) % parts
    masks = [np.ones(len(source))] + [(part == i).astype(np.float64) for i in range(parts) if parts > 1]
    if simulation.fitted.nuisances is not None:
        return tuple(profiled_null(simulation, k, phi, moments.n_data, source * mask) for mask in masks)
    return tuple(_null_from(simulation, k, phi, form, moments.n_data, source * mask) for mask in masks)


def _null_from(
    simulation: Simulation, k: int, phi: Features, form: LinearForm, n_data: int | None, weights: Floats
) -> AnalyticNull:
    """Return the null with the moments of events with features `phi` and `weights` (n,)."""
    fitted = simulation.fitted
    option = Yield(fitted.normalisation, fitted.expected, n_data)
    source = fitted.tensor(weights)
    spread = measure(phi, source)
    covariance = option.events * spread.central + option.variance * torch.outer(spread.mean, spread.mean)
    mean = option.offset * spread.mean
    if simulation.reference == "fixed":
        reference, _ = fitted.reference_features(k)
        total = reference.total(fitted.tensor(fitted.weights)[None])[0, : len(mean)]
        mean = mean + fitted.expected * spread.mean - total
    else:
        covariance = covariance + _reference_part(fitted, k, spread.central, spread.mean)
    excess = option.events * fourth_moment(phi, source, form, option.absorbed * spread.mean)
    return analytic_null(form, covariance, mean, excess)


def _reference_part(fitted: Fitted, k: int, central: Tensor, mu: Tensor) -> Tensor:
    """Return sum_R w^2 (phi - mu)(phi - mu)', the covariance that redrawing the reference adds."""
    squares = fitted.weights**2
    if fitted.uniform:
        return central * float(squares.sum())
    phi, _ = fitted.reference_features(k)
    own = measure(phi, fitted.tensor(squares))
    away = own.mean - mu
    return (own.central + torch.outer(away, away)) * float(squares.sum())
