"""The calibrations: how a fitted test and simulated events become a null distribution (spec section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unseen.errors import ConfigError
from unseen.search.analytic import AnalyticNull, Yield, analytic_null, fourth_moment, measure
from unseen.search.crosscheck import AnalyticCheck, check_analytic
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.joint import joint_draws, measure_jointly
from unseen.search.null import Null
from unseen.search.refit import Recipe, toy_statistics
from unseen.search.simulation import Simulation
from unseen.search.statistic import LinearForm
from unseen.search.toys import ToyPlan
from unseen.search.validate import Floats

__all__ = ["DEFAULT_TOYS", "Request", "analytic_or_why", "calibrated", "choose_method"]

Tick = Callable[[int], None]
DEFAULT_TOYS = {"toys": 300, "permutation": 300, "linear": 20_000, "asymptotic": 100_000}
EVENTS = 100_000  # simulated events that the moments of an analytic null are measured on
EVENTS_BESIDE = 30_000  # and where it only stands beside a calibration with toys
CHECK_TOYS = 5000  # linear toys that the analytic null is compared with
CHECK_SEED = 1_000_003  # added to the seed: the check's toys are not those of another calibration


@dataclass(frozen=True)
class Request:
    """What is asked of a calibration; `n_toys` None means the method's own number."""

    method: str
    mode: str
    combination: str
    n_toys: int | None
    seed: int
    n_data: int | None
    progress: Callable[[int, int], None] | None = None

    def size(self, method: str) -> int:
        """Return the number of toys or draws."""
        return DEFAULT_TOYS[method] if self.n_toys is None else self.n_toys


class _Counter:
    """Tells `progress` how many fits of how many are done."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def choose_method(method: str, mode: str) -> str:
    """Return the method, or "auto" for the linear statistic; ConfigError if the statistic has no such calibration."""
    if method in ("linear", "asymptotic") and mode != "linear":
        raise ConfigError(
            f"calibration '{method}' is the null of statistic='linear', this test uses '{mode}'; use method='toys', or "
            "KernelTest(statistic='linear')"
        )
    return "toys" if method == "auto" and mode != "linear" else method


def calibrated(simulation: Simulation, request: Request) -> Null:
    """Return the null that `request` asks for; "auto" takes the analytic one if its check passes, else linear toys."""
    method = choose_method(request.method, request.mode)
    if method == "asymptotic":
        return _asymptotic(simulation, request)
    if method != "auto":
        null = _from_toys(simulation, request, method)
        asked = request.method != "auto"
        return null if asked else replace(null, reason=f"auto: '{request.mode}' has no analytic null")
    if len(simulation.pool) == 0:
        null = _asymptotic(simulation, request)
        return replace(null, reason="auto: without a pool there is nothing but the analytic null")
    analytic, why = analytic_or_why(simulation, request)
    if analytic is not None:
        return replace(analytic, reason=f"auto: the analytic null {why}")
    return replace(_from_toys(simulation, request, "linear"), reason=f"auto: no analytic null, {why}")


def analytic_or_why(simulation: Simulation, request: Request) -> tuple[Null | None, str]:
    """Return the analytic null of the linear statistic, None if it fails its check, and what the check says.

    Its cumulants are looked at first, before any toy is thrown.
    """
    why = _refused_by_cumulants(simulation, request)
    if why:
        return None, why
    null = _asymptotic(simulation, request)
    check = null.checks["analytic"]
    return (null if check["passed"] else None), check["why"]


def _refused_by_cumulants(simulation: Simulation, request: Request) -> str:
    """Return why the analytic null of some map cannot be used, before any toy is thrown; empty if none is refused."""
    for k in range(simulation.n_maps):
        check = check_analytic(analytic_nulls(simulation, k, request.n_data, EVENTS_BESIDE), np.empty((0, 1)))
        if not check.passed:
            return check.why
    return ""


def _from_toys(simulation: Simulation, request: Request, method: str) -> Null:
    """Return the null of toys, with the analytic null of their linear statistic beside it."""
    plan = simulation.plan(request.size(method), request.seed, request.n_data)
    t = np.empty((plan.n_toys, simulation.n_maps))
    linear, nulls = np.empty_like(t), []
    tick = _Counter(request.progress, t.size)
    n_events = EVENTS if request.mode == "linear" else EVENTS_BESIDE
    for k in range(simulation.n_maps):
        t[:, k], linear[:, k] = refit_toys(simulation, plan, k, request.mode, tick)
        nulls.append(analytic_nulls(simulation, k, request.n_data, n_events)[0])
    check = check_analytic(tuple(nulls), linear)
    return _null(simulation, request, method, t, check, analytic=tuple(nulls))


def _asymptotic(simulation: Simulation, request: Request) -> Null:
    """Return the analytic null of the linear statistic, checked with linear toys where there is a pool."""
    with_toys = len(simulation.pool) > 0
    plan = simulation.plan(CHECK_TOYS, request.seed + CHECK_SEED, request.n_data) if with_toys else None
    linear = np.empty((0 if plan is None else plan.n_toys, simulation.n_maps))
    tick = _Counter(request.progress, linear.size)
    nulls, first, second = [], [], []
    for k in range(simulation.n_maps):
        whole, *halves = analytic_nulls(simulation, k, request.n_data, EVENTS, parts=2)
        nulls.append(whole)
        first.append(halves[0])
        second.append(halves[1])
        if plan is not None:
            linear[:, k], _ = refit_toys(simulation, plan, k, "linear", tick)
    draws = np.empty((0, 1))
    if simulation.n_maps > 1:
        draws = gaussian_draws(simulation, request.n_data, request.size("asymptotic"), request.seed)
    check = check_analytic(tuple(nulls), linear)
    halves_of = (tuple(first), tuple(second))
    return _null(simulation, request, "asymptotic", draws, check, analytic=tuple(nulls), halves=halves_of)


def _null(
    simulation: Simulation,
    request: Request,
    method: str,
    t: Floats,
    check: AnalyticCheck,
    *,
    analytic: tuple[AnalyticNull, ...],
    halves: tuple[tuple[AnalyticNull, ...], ...] = (),
) -> Null:
    return Null(
        t,
        request.mode,
        request.combination,
        method,
        simulation.reference,
        simulation.n_effective,
        request.n_data,
        analytic=analytic,
        halves=halves,
        checks={"analytic": check.to_json()},
    )


def refit_toys(simulation: Simulation, plan: ToyPlan, k: int, mode: str, tick: Tick) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of every toy (n_toys,) at map k."""
    fitted = simulation.fitted
    union, chord = simulation.union(k), fitted.reference_features(k)[1]
    recipe = Recipe(mode, fitted.normalisation, fitted.penalty)
    weights = torch.from_numpy(simulation.weights).to(fitted.compute.device)
    return toy_statistics(plan, union, weights, chord, fitted.form(k), recipe, tick)


def analytic_nulls(
    simulation: Simulation, k: int, n_data: int | None, n_events: int, parts: int = 1
) -> tuple[AnalyticNull, ...]:
    """Return the analytic null of the linear statistic at map k, and those from `parts` parts of the simulation.

    At most `n_events` events are used, spread over the union: their noise adds about rank / n_events to t's variance.
    """
    phi, form = simulation.union(k), simulation.fitted.form(k)
    source = simulation.source
    rows = np.flatnonzero(source)
    if len(rows) > n_events:
        rows = rows[np.linspace(0, len(rows) - 1, n_events).astype(np.int64)]
    if len(rows) < len(source):
        phi, source = phi.take(rows), source[rows]
    part = np.arange(len(source)) % parts
    masks = [np.ones(len(source))] + [(part == i).astype(np.float64) for i in range(parts) if parts > 1]
    return tuple(_null_from(simulation, k, phi, form, n_data, source * mask) for mask in masks)


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


def gaussian_draws(simulation: Simulation, n_data: int | None, n_draws: int, seed: int) -> Floats:
    """Return the linear statistics of all maps (n_draws, n_maps) for Gaussian s with their joint covariance."""
    fitted = simulation.fitted
    forms = [fitted.form(k) for k in range(simulation.n_maps)]
    roots = [torch.linalg.cholesky(form.matrix()) for form in forms]
    maps, z = fitted.settings.maps, np.concatenate([fitted.z, simulation.pool])
    source = measure_jointly(maps, roots, z, simulation.source)
    option = Yield(fitted.normalisation, fitted.expected, n_data)
    mean, redrawn, squares = option.offset * source.spread.mean, None, fitted.weights**2
    if simulation.reference == "fixed":
        own = measure_jointly(maps, roots, fitted.z, fitted.weights)
        mean = mean + fitted.expected * (source.spread.mean - own.spread.mean)
    else:
        redrawn = source if fitted.uniform else measure_jointly(maps, roots, fitted.z, squares)
    return joint_draws(source, redrawn, float(squares.sum()), mean, option, n_draws, seed)
