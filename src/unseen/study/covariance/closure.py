"""Closure: does the nominal sample, reweighted by r(z; nu), stand for the events at nu? Asked with the project's test.

Data drawn at nu are compared with nominal events of weight r(z; nu) by the linear statistic t = s' A s with
s = sum_D phi - sum_R w r phi (spec of the search, section 2). Its expectation over all pseudo-data sets is known:

    E[t | data at nu] - E[t | data as reweighted] = m' A m + tr A (V_nu - V_r),    m = N (E_nu[phi] - E_0[r phi])

with V the covariances of sum_D phi. It is given in standard deviations of t where the reweighted reference is right.
Estimated means make m' A m too large by tr A Cov(m), which is subtracted: what is left has no bias from finite pools
and no noise of toys, and its standard error says what the pools resolve. It may be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import ConfigError, NotEnoughEventsError, ShapeError
from unseen.search import KernelTest
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.parallel import blockwise
from unseen.search.scale import Widths
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats, Keys, as_events, as_weights, check_disjoint, row_keys
from unseen.study.covariance.auc import weighted_auc
from unseen.study.covariance.closure_sums import PoolSums, difference_sums, pool_sums
from unseen.study.covariance.moved import Delta, Moved, coefficients
from unseen.systematics.ratio import CLOSURE_LIMIT, FEWEST_SELECTED, Closure

__all__ = ["ClosureFrame", "ClosurePoint", "Shift", "closure", "closure_frame", "closure_record", "closures", "framed"]

AUC_STREAM = 1
Estimate = tuple[float, float]  # a shift and its standard error


@dataclass(frozen=True)
class Shift:
    """Mean t above the null mean in null standard deviations at each width, with standard errors from the pools."""

    values: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def worst(self) -> tuple[float, float]:
        """The largest of all widths, and its error."""
        i = int(np.argmax(self.values))
        return self.values[i], self.errors[i]


@dataclass(frozen=True)
class ClosurePoint:
    """What closure says at one `nu`: with the ratio, and without it (`ignored`).

    `rate` is the yield over the nominal one, `predicted_rate` the mean of r. `auc` and `auc_ignored` are those of a
    classifier on held-out events, (value, standard error), None unless asked for.
    """

    nu: tuple[float, ...]
    weighted: Shift
    ignored: Shift
    rate: float
    predicted_rate: float
    auc: tuple[float, float] | None = None
    auc_ignored: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClosureFrame:
    """The test, frozen on nominal events: `z` (n, d) with `shares` (n,) that sum to 1, and delta of them.

    The reference of a search has `n_reference` such events, data `n_data`.
    """

    simulation: Simulation
    z: Floats
    shares: Floats
    delta: Delta
    n_data: float
    n_reference: float

    @property
    def fitted(self) -> Fitted:
        """The frozen test."""
        return self.simulation.fitted


def closure_frame(
    nominal: ArrayLike,
    delta: Delta,
    n_data: float,
    *,
    weights: ArrayLike | None = None,
    settings: ArrayLike | None = None,
    n_reference: int | None = None,
    widths: Widths = "percentile(90)",
    n_centers: int = 200,
    penalty: float = 1e-6,
    seed: int = 0,
) -> ClosureFrame:
    """Freeze the search's test on `nominal` events (n, d), of which none may be among the events at nu.

    `n_data` and `n_reference` are the numbers of the search (n_reference: all of `nominal` unless given); `settings`
    fix centres and widths, a part of `nominal` unless given. More events resolve smaller shifts: pools of 20 `n_data`
    on both sides leave an error of about 0.1. Errors: those of `KernelTest.fit`.
    """
    x = as_events("nominal", nominal)
    w = as_weights("weights", weights, len(x))
    if settings is None:
        cut = max(2, min(5 * n_centers, len(x) // 5))
        settings, x, w = x[:cut], x[cut:], w[cut:]
    test = KernelTest(widths=widths, n_centers=n_centers, penalty=penalty, statistic="linear", seed=seed)
    return framed(test, x, delta, n_data, settings, weights=w, n_reference=n_reference)


def framed(
    test: KernelTest,
    nominal: ArrayLike,
    delta: Delta,
    n_data: float,
    settings: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_reference: int | None = None,
) -> ClosureFrame:
    """Freeze an own `test`, of the linear statistic and a known yield, on `nominal` events; else as `closure_frame`.

    Errors: those of `KernelTest.fit`, ConfigError (another statistic or normalisation).
    """
    if test.mode != "linear" or test.normalisation != "known":
        raise ConfigError(
            f"a closure is of the statistic 'linear' with a known yield, not of '{test.mode}', '{test.normalisation}'"
        )
    x = as_events("nominal", nominal)
    w = as_weights("weights", weights, len(x))
    size = len(x) if n_reference is None else n_reference
    own = min(size, len(x) - 1)  # the rest is the test's pool: the linear form does not know which is which
    test.fit(x[:own], w[:own], expected=n_data, settings=settings)
    simulation = test.pseudo_data(x[own:], {}, weights=w[own:], reference="fixed").simulation
    return ClosureFrame(simulation, x, w / w.sum(), delta, n_data, float(size))


def closure(
    frame: ClosureFrame, events: Moved, *, at_zero: Moved | None = None, with_auc: bool = False, seed: int = 0
) -> ClosurePoint:
    """Return how far reweighted nominal events are from `events`, a disjoint pool at nu.

    `at_zero` are the same events, row by row, at nu = 0: what both pools differ by there is chance and is taken off,
    which leaves much smaller errors. Errors: ShapeError, OverlapError (a pool that is not disjoint),
    NotEnoughEventsError.
    """
    return closures(frame, [events], at_zero=at_zero, with_auc=with_auc, seed=seed)[0]


def closures(
    frame: ClosureFrame,
    points: Sequence[Moved],
    *,
    at_zero: Moved | None = None,
    with_auc: bool = False,
    seed: int = 0,
) -> list[ClosurePoint]:
    """Return `closure` at every one of `points`, at least one; what they share is computed once."""
    keys = row_keys(frame.z)
    for events in points:
        _check(keys, events, at_zero)
    delta = coefficients("the nominal pool", frame.delta, frame.z, len(points[0].nu))
    shifts: list[list[tuple[Estimate, Estimate]]] = [[] for _ in points]
    with blockwise():
        for k in range(frame.simulation.n_maps):
            phi, form = frame.simulation.union(k), frame.fitted.form(k).matrix()
            ignored = _nominal(frame, phi, form, np.ones(len(frame.z)), at_zero is not None)
            for found, events in zip(shifts, points, strict=True):
                there = _there(frame, k, form, events, at_zero)
                weighted = _nominal(frame, phi, form, np.exp(delta.log_ratio(events.nu)), at_zero is not None)
                found.append((_shift(frame, form, there, *weighted), _shift(frame, form, there, *ignored)))
    return [
        _point(frame, events, np.exp(delta.log_ratio(events.nu)), found, with_auc, seed)
        for events, found in zip(points, shifts, strict=True)
    ]


def _check(keys: Keys, events: Moved, at_zero: Moved | None) -> None:
    """Errors of `closure`, with the row keys of the nominal pool."""
    kept, where = events.weights > 0, f"the events at nu = {np.round(events.nu, 3).tolist()}"
    if (selected := np.count_nonzero(kept)) < FEWEST_SELECTED:
        raise NotEnoughEventsError(f"{selected} of {where} are selected; at least {FEWEST_SELECTED} are needed")
    if at_zero is not None and at_zero.z.shape != events.z.shape:
        raise ShapeError(f"{where} have shape {events.z.shape}, those at nu = 0 {at_zero.z.shape}: not the same events")
    check_disjoint(where, row_keys(events.z[kept]), "the nominal pool", keys)


def _nominal(frame: ClosureFrame, phi: Features, form: Tensor, r: Floats, differs: bool) -> tuple[PoolSums, PoolSums]:
    """Return the sums of nominal events of weight r (n,), or what they are above those of weight 1, and the former."""
    null = pool_sums(frame.fitted, phi, form, frame.shares * r, frame.shares)
    return (pool_sums(frame.fitted, phi, form, frame.shares * (r - 1.0), frame.shares) if differs else null), null


def _point(
    frame: ClosureFrame,
    events: Moved,
    r: Floats,
    found: Sequence[tuple[Estimate, Estimate]],
    with_auc: bool,
    seed: int,
) -> ClosurePoint:
    """Return the record of one point from its shifts at every width, with the ratio and without."""
    kept, rng = events.weights > 0, np.random.default_rng([seed, AUC_STREAM])
    against = {"auc": frame.shares * r, "auc_ignored": frame.shares} if with_auc else {}
    aucs = {name: weighted_auc(frame.z, q, events.z[kept], events.shares[kept], rng) for name, q in against.items()}
    return ClosurePoint(
        tuple(events.nu.tolist()),
        _shifts([weighted for weighted, _ in found]),
        _shifts([ignored for _, ignored in found]),
        events.rate,
        float((frame.shares * r).sum()),
        aucs.get("auc"),
        aucs.get("auc_ignored"),
    )


def _there(frame: ClosureFrame, k: int, form: Tensor, events: Moved, at_zero: Moved | None) -> PoolSums:
    """Return the sums of the pool at nu at map k, or what they are above those of the same events `at_zero`."""
    used = events.weights > 0 if at_zero is None else (events.weights > 0) | (at_zero.weights > 0)
    base = events.nominal / events.nominal.sum()
    held = frame.simulation.union(k).held_bytes
    parts = []
    for pool in (events,) if at_zero is None else (events, at_zero):
        z = frame.fitted.standardise("the events at nu", pool.z[used])
        phi = frame.fitted.features(k, z, held)
        parts.append((phi, pool.shares[used]))
        held += phi.held_bytes
    if at_zero is None:
        return pool_sums(frame.fitted, parts[0][0], form, parts[0][1], base[used], base)
    return difference_sums(form, parts[0], parts[1], base[used])


def closure_record(points: Sequence[ClosurePoint], n_data: float, limit: float = CLOSURE_LIMIT) -> Closure:
    """Return what a ratio keeps of these points, for `DensityRatio.with_closure`: the worst width at each nu."""
    worst = [point.weighted.worst for point in points]
    return Closure(
        "kernel-test",
        tuple(point.nu for point in points),
        tuple(value for value, _ in worst),
        tuple(error for _, error in worst),
        n_data,
        tuple(point.ignored.worst[0] for point in points),
        limit=limit,
    )


def _shift(frame: ClosureFrame, form: Tensor, there: PoolSums, here: PoolSums, null: PoolSums) -> Estimate:
    """Return the mean t above the null mean in the null's standard deviations, and its standard error."""
    n = frame.n_data
    m = n * (there.mean - here.mean)
    turned = form @ (n**2 * (there.covariance + here.covariance))
    excess = float(m @ form @ m) - float(turned.trace()) + n * float((form * (there.second - here.second)).sum())
    own = 2.0 * float((turned * turned.T).sum())  # of pools that do not differ; the noise of m is in m' A C A m, too
    variance = max(4.0 * float(m @ turned @ form @ m) - own, own) + n**2 * (there.noise + here.noise)
    variance = max(variance + 4.0 * n**2 * float(m @ form @ (there.joint + here.joint)), own)
    # Where data are as the reweighted reference: Poisson data, and a reference of N_R such events.
    spread = form @ (n * null.second + n**2 * (null.size / frame.n_reference) * null.covariance)
    deviation = (2.0 * float((spread * spread.T).sum()) + n * null.fourth) ** 0.5
    return excess / deviation, variance**0.5 / deviation


def _shifts(found: list[Estimate]) -> Shift:
    return Shift(tuple(value for value, _ in found), tuple(error for _, error in found))
