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
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import NotEnoughEventsError
from unseen.search import KernelTest
from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.parallel import blockwise
from unseen.search.scale import Widths
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats, as_events, as_weights, check_disjoint, row_keys
from unseen.study.covariance.auc import weighted_auc
from unseen.study.covariance.moved import Delta, Moved, coefficients
from unseen.systematics.ratio import Closure

__all__ = ["ClosureFrame", "ClosurePoint", "Shift", "closure", "closure_frame", "closure_record"]

FEWEST = 100  # selected events
AUC_STREAM = 1


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
    size = len(x) if n_reference is None else n_reference
    own = min(size, len(x) - 1)  # the rest is the test's pool: the linear form does not know which is which
    test = KernelTest(widths=widths, n_centers=n_centers, penalty=penalty, statistic="linear", seed=seed)
    test.fit(x[:own], w[:own], expected=n_data, settings=settings)
    simulation = test.pseudo_data(x[own:], {}, weights=w[own:], reference="fixed").simulation
    return ClosureFrame(simulation, x, w / w.sum(), delta, n_data, float(size))


def closure(frame: ClosureFrame, events: Moved, *, with_auc: bool = False, seed: int = 0) -> ClosurePoint:
    """Return how far reweighted nominal events are from `events`, a disjoint pool at nu.

    Errors: ShapeError, OverlapError (a pool that is not disjoint), NotEnoughEventsError.
    """
    kept, where = events.weights > 0, f"the events at nu = {np.round(events.nu, 3).tolist()}"
    if np.count_nonzero(kept) < FEWEST:
        raise NotEnoughEventsError(f"{np.count_nonzero(kept)} of {where} are selected; at least {FEWEST} are needed")
    x, shares, base = events.z[kept], events.shares[kept], events.nominal / events.nominal.sum()
    check_disjoint(where, row_keys(x), "the nominal pool", row_keys(frame.z))
    r = np.exp(coefficients("the nominal pool", frame.delta, frame.z, len(events.nu)).log_ratio(events.nu))
    found: dict[str, list[tuple[float, float]]] = {"weighted": [], "ignored": []}
    z = frame.fitted.standardise(where, x)
    with blockwise():
        for k in range(frame.simulation.n_maps):
            phi, form = frame.simulation.union(k), frame.fitted.form(k).matrix()
            there = _side(frame, frame.fitted.features(k, z, phi.held_bytes), form, shares, base[kept], base)
            for name, ratio in (("weighted", r), ("ignored", np.ones_like(r))):
                here = _side(frame, phi, form, frame.shares * ratio, frame.shares, frame.shares)
                found[name].append(_shift(frame, form, there, here))
    rng = np.random.default_rng([seed, AUC_STREAM])
    against = {"auc": frame.shares * r, "auc_ignored": frame.shares} if with_auc else {}
    aucs = {name: weighted_auc(frame.z, q, x, shares, rng) for name, q in against.items()}
    return ClosurePoint(
        tuple(events.nu.tolist()),
        _shifts(found["weighted"]),
        _shifts(found["ignored"]),
        events.rate,
        float((frame.shares * r).sum()),
        aucs.get("auc"),
        aucs.get("auc_ignored"),
    )


def closure_record(points: Sequence[ClosurePoint], n_data: float) -> Closure:
    """Return what a ratio keeps of these points, for `DensityRatio.with_closure`: the worst width at each nu."""
    worst = [point.weighted.worst for point in points]
    return Closure(
        "kernel-test",
        tuple(point.nu for point in points),
        tuple(value for value, _ in worst),
        tuple(error for _, error in worst),
        n_data,
        tuple(point.ignored.worst[0] for point in points),
    )


@dataclass(frozen=True)
class _Side:
    """Sums over a pool of events of `shares` p: mean sum p phi (r,), second sum p phi phi' (r, r), the covariance of
    the mean as an estimate, sums of p h^2 and p^2 h^2 with h = phi' A phi, and the number of equal events it is worth.
    """

    mean: Tensor
    second: Tensor
    covariance: Tensor
    fourth: float
    noise: float
    size: float


def _side(frame: ClosureFrame, phi: Features, form: Tensor, p: Floats, base: Floats, every: Floats) -> _Side:
    """Return the sums of events with features `phi` and shares `p` (n,).

    `base` (n,) are their nominal shares and `every` those of all events, selected or not: p's units are their sum, so
    that the yield fluctuates as an estimate of a ratio does.
    """
    fitted, p_ = frame.fitted, torch.from_numpy(p)
    mean, across = phi.total(fitted.tensor(np.stack([p, p * base])))
    second, squares = (phi.second_moment(fitted.tensor(w)) for w in (p, p**2))
    spent = float(np.square(every).sum())
    covariance = squares - torch.outer(across, mean) - torch.outer(mean, across) + spent * torch.outer(mean, mean)
    root = torch.linalg.cholesky(form).to(phi.compute.dtype)
    square = phi.accumulate(lambda rows, block: _powers((block @ root).square_().sum(1).double(), p_[rows]))
    return _Side(mean, second, covariance, float(square[0]), float(square[1]), 1.0 / spent)


def _powers(h: Tensor, p: Tensor) -> Tensor:
    """Return the sums of p h^2 and p^2 h^2."""
    return torch.stack([p @ h.square(), p.square() @ h.square()])


def _shift(frame: ClosureFrame, form: Tensor, there: _Side, here: _Side) -> tuple[float, float]:
    """Return the mean t above the null mean in the null's standard deviations, and its standard error."""
    n = frame.n_data
    m = n * (there.mean - here.mean)
    uncertain = n**2 * (there.covariance + here.covariance)
    turned, spread = form @ uncertain, form @ _null_covariance(frame, here)
    excess = float(m @ form @ m) - float(turned.trace()) + n * float((form * (there.second - here.second)).sum())
    own = 2.0 * float((turned * turned.T).sum())  # of pools that do not differ; the noise of m is in m' A C A m, too
    variance = max(4.0 * float(m @ turned @ form @ m) - own, own) + n**2 * (there.noise + here.noise)
    null = 2.0 * float((spread * spread.T).sum()) + n * here.fourth
    return excess / null**0.5, (variance / null) ** 0.5


def _null_covariance(frame: ClosureFrame, here: _Side) -> Tensor:
    """Return the covariance of s where data are as the reweighted reference: Poisson data, and N_R such events."""
    n = frame.n_data
    return n * here.second + n**2 * (here.size / frame.n_reference) * here.covariance


def _shifts(found: list[tuple[float, float]]) -> Shift:
    return Shift(tuple(value for value, _ in found), tuple(error for _, error in found))
