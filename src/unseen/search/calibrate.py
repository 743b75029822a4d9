"""The calibrations: how a fitted test and simulated events become a null distribution (spec section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from unseen.errors import CalibrationError, ConfigError
from unseen.search.analytic import AnalyticNull, Yield
from unseen.search.at_map import Moments, Throw
from unseen.search.crosscheck import AnalyticCheck, check_analytic
from unseen.search.evaluate import Evaluate, evaluator
from unseen.search.joint import joint_draws, measure_jointly
from unseen.search.null import Null
from unseen.search.runner import Runner
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats

__all__ = ["DEFAULT_TOYS", "Request", "analytic_or_why", "calibrated", "choose_method"]

DEFAULT_TOYS = {"toys": 300, "permutation": 300, "linear": 20_000, "asymptotic": 100_000}
EVENTS = 100_000  # simulated events that the moments of an analytic null are measured on
EVENTS_BESIDE = 30_000  # and where it only stands beside a calibration with toys
CHECK_TOYS = 5000  # linear toys that the analytic null is compared with
PROFILED_CHECK_TOYS = 1000  # refits
CHECK_SEED = 1_000_003  # added to the seed: the check's toys are not those of another calibration


@dataclass(frozen=True)
class Request:
    """What is asked of a calibration; `n_toys` None means the method's own number, `runner` None this process.

    `nu` None throws nuisance parameters, if there are any.
    """

    method: str
    mode: str
    combination: str
    n_toys: int | None
    seed: int
    n_data: int | None
    progress: Callable[[int, int], None] | None = None
    runner: Runner | None = None
    nu: tuple[float, ...] | None = None

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


def choose_method(method: str, mode: str, n_profiled_widths: int = 0) -> str:
    """Return the method, or "auto" for the linear statistic; ConfigError if the statistic has no such calibration.

    `n_profiled_widths` is the number of widths where nuisance parameters are profiled, else zero.
    """
    if n_profiled_widths:
        _check_profiled(method, n_profiled_widths)
        return "toys" if method == "auto" else method
    if method in ("linear", "asymptotic") and mode != "linear":
        raise ConfigError(
            f"calibration '{method}' is the null of statistic='linear', this test uses '{mode}'; use method='toys', or "
            "KernelTest(statistic='linear')"
        )
    return "toys" if method == "auto" and mode != "linear" else method


def _check_profiled(method: str, n_widths: int) -> None:
    """Raise ConfigError if a profiled statistic has no such calibration."""
    if method in ("linear", "permutation"):
        raise ConfigError(
            f"calibration '{method}' knows no nuisance parameters, and this test profiles some; use method='toys'"
        )
    if method == "asymptotic" and n_widths > 1:
        raise ConfigError(
            f"calibration 'asymptotic' of a profiled test is for one width, this one has {n_widths}; use method='toys'"
        )


def calibrated(simulation: Simulation, request: Request) -> Null:
    """Return the null that `request` asks for; "auto" takes the analytic one if its check passes, else linear toys."""
    profiled = simulation.fitted.nuisances is not None
    method = choose_method(request.method, request.mode, simulation.n_maps if profiled else 0)
    evaluate = evaluator(simulation, request.runner)
    if method == "asymptotic":
        return (_profiled_asymptotic if profiled else _asymptotic)(simulation, request, evaluate)
    if method != "auto":
        null = _from_toys(simulation, request, method, evaluate)
        asked = request.method != "auto"
        return (
            null
            if asked
            else replace(null, reason="auto: " + ("toys" if profiled else f"'{request.mode}' has no analytic null"))
        )
    if len(simulation.pool) == 0:
        null = _asymptotic(simulation, request, evaluate)
        return replace(null, reason="auto: without a pool there is nothing but the analytic null")
    analytic, why = _analytic_or_why(simulation, request, evaluate)
    if analytic is not None:
        return replace(analytic, reason=f"auto: the analytic null {why}")
    return replace(_from_toys(simulation, request, "linear", evaluate), reason=f"auto: no analytic null, {why}")


def analytic_or_why(simulation: Simulation, request: Request) -> tuple[Null | None, str]:
    """Return the analytic null of the linear statistic, None if it fails its check, and what the check says.

    Its cumulants are looked at first, before any toy is thrown.
    """
    return _analytic_or_why(simulation, request, evaluator(simulation, request.runner))


def _analytic_or_why(simulation: Simulation, request: Request, evaluate: Evaluate) -> tuple[Null | None, str]:
    why = _refused_by_cumulants(request, evaluate)
    if why:
        return None, why
    null = _asymptotic(simulation, request, evaluate)
    check = null.checks["analytic"]
    return (null if check["passed"] else None), check["why"]


def _refused_by_cumulants(request: Request, evaluate: Evaluate) -> str:
    """Return why the analytic null of some map cannot be used, before any toy is thrown; empty if none is refused."""
    for found in evaluate(None, Moments(request.n_data, EVENTS_BESIDE), _silent):
        check = check_analytic(found.nulls, np.empty((0, 1)))
        if not check.passed:
            return check.why
    return ""


def _silent(count: int) -> None:
    """Count nothing."""


def _from_toys(simulation: Simulation, request: Request, method: str, evaluate: Evaluate) -> Null:
    """Return the null of toys, with the analytic null of their linear statistic beside it."""
    throw = Throw(request.mode, request.size(method), request.seed, request.n_data, request.nu)
    tick = _Counter(request.progress, throw.n_toys * simulation.n_maps)
    n_events = EVENTS if request.mode == "linear" else EVENTS_BESIDE
    found = list(evaluate(throw, Moments(request.n_data, n_events), tick))
    nulls = tuple(at.nulls[0] for at in found)
    kind = "linear" if simulation.fitted.nuisances is None else "profiled"
    check = check_analytic(nulls, np.column_stack([at.linear for at in found]), kind)
    return _null(simulation, request, method, np.column_stack([at.t for at in found]), check, analytic=nulls)


def _asymptotic(simulation: Simulation, request: Request, evaluate: Evaluate) -> Null:
    """Return the analytic null of the linear statistic, checked with linear toys where there is a pool."""
    throw = Throw("linear", CHECK_TOYS, request.seed + CHECK_SEED, request.n_data) if len(simulation.pool) else None
    tick = _Counter(request.progress, 0 if throw is None else CHECK_TOYS * simulation.n_maps)
    found = list(evaluate(throw, Moments(request.n_data, EVENTS, parts=2), tick))
    nulls, *halves = zip(*(at.nulls for at in found), strict=True)
    draws = np.empty((0, 1))
    if simulation.n_maps > 1:
        draws = gaussian_draws(simulation, request.n_data, request.size("asymptotic"), request.seed)
    check = check_analytic(nulls, np.column_stack([at.t for at in found]))
    return _null(simulation, request, "asymptotic", draws, check, analytic=nulls, halves=tuple(halves))


def _profiled_asymptotic(simulation: Simulation, request: Request, evaluate: Evaluate) -> Null:
    """Return the analytic null of the profiled statistic; CalibrationError if toys of it disagree."""
    n_toys = PROFILED_CHECK_TOYS if request.n_toys is None else request.n_toys
    throw = Throw(request.mode, n_toys, request.seed + CHECK_SEED, request.n_data, request.nu)
    found = list(evaluate(throw, Moments(request.n_data, EVENTS, parts=2), _Counter(request.progress, n_toys)))
    nulls, *halves = zip(*(at.nulls for at in found), strict=True)
    check = check_analytic(nulls, np.column_stack([at.t for at in found]), "profiled")
    if not check.passed:
        raise CalibrationError(f"the profiled statistic has no analytic null here: {check.why}; use method='toys'")
    draws = np.empty((0, 1))
    return _null(simulation, request, "asymptotic", draws, check, analytic=nulls, halves=tuple(halves))


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
        checks={"analytic": check.to_json()} | _nuisances(simulation, request),
    )


def _nuisances(simulation: Simulation, request: Request) -> dict[str, Any]:
    """Return what toys take for the true values of nuisance parameters, if there are any."""
    if simulation.fitted.nuisances is None:
        return {}
    return {"nuisances": "thrown from their priors" if request.nu is None else f"nu = {list(request.nu)}"}


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
