"""Pulls: is the maximum-likelihood nu of samples at a known nu unbiased, and is its error right?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.search.normalisation import Normalisation
from unseen.search.profile_nuisances import Nuisances
from unseen.search.validate import Floats, as_events, as_weights, check_count, check_disjoint, check_positive, row_keys
from unseen.study.covariance.moved import Delta, Moved, coefficients
from unseen.study.covariance.nu_fit import NuFits, fit_nu

__all__ = ["FEWEST_SAMPLES_WORTH", "PullPoint", "pulls"]

FEWEST_SAMPLES_WORTH = 100.0  # of a pool: below, its own fluctuation is a bias that all samples share
PULL_STREAM = 2
ONE_SIGMA = 0.6826894921370859


@dataclass(frozen=True)
class PullPoint:
    """Pulls (nu_hat - nu) / error at one true `nu`, one entry for each of `names`.

    `bias` is their mean, with its standard error from the number of samples and from the finite pools, which all
    samples share; `width` their standard deviation, `coverage` the share of intervals of 68 % that hold the truth.
    `error` is the median error of nu: 1 where the events say nothing beyond the auxiliary measurement. `worth` is the
    number of samples that the smaller pool is worth.
    """

    nu: tuple[float, ...]
    names: tuple[str, ...]
    bias: tuple[float, ...]
    bias_error: tuple[float, ...]
    width: tuple[float, ...]
    width_error: tuple[float, ...]
    coverage: tuple[float, ...]
    coverage_error: tuple[float, ...]
    error: tuple[float, ...]
    n_samples: int
    worth: float

    @property
    def enough(self) -> bool:
        """Whether the pools are worth as many samples as the definition demands."""
        return self.worth >= FEWEST_SAMPLES_WORTH


@dataclass(frozen=True)
class _Pools:
    """psi (n, p) and shares (n,) of the nominal pool and of the one at nu, and nominal shares of the latter."""

    nuisances: Nuisances
    here: Floats
    shares: Floats
    there: Floats
    moved: Floats
    base: Floats
    paired: bool


def pulls(
    nominal: ArrayLike,
    delta: Delta,
    events: Moved,
    *,
    weights: ArrayLike | None = None,
    n_events: float = 1000.0,
    n_samples: int = 1000,
    paired: bool = False,
    seed: int = 0,
) -> PullPoint:
    """Return the pulls of `n_samples` samples from `events`, a pool at the true nu, against `nominal` events (n, d).

    A sample has Poisson-distributed events, `n_events` at nu = 0 and `rate` times as many at nu; auxiliary measurements
    are thrown around the true nu. Two independent pools of 100 samples' worth leave a bias of up to
    sqrt(2 / 100) = 0.14 that is their fluctuation; `paired` pools are the same generated events, row by row, whose
    fluctuations cancel. Errors: ShapeError, OverlapError (not paired), NotEnoughEventsError, ConvergenceError.
    """
    check_positive("n_events", n_events)
    check_count("n_samples", n_samples, 2)
    z = as_events("nominal", nominal)
    w, true = as_weights("weights", weights, len(z)), events.nu
    kept = events.weights > 0
    if not kept.any():
        raise NotEnoughEventsError(f"no event is selected at nu = {true.tolist()}")
    if paired and len(z) != len(events.z):
        raise ShapeError(f"paired pools are the same events: nominal has {len(z)}, the one at nu {len(events.z)}")
    if not paired:
        check_disjoint("the pool at nu", row_keys(events.z[kept]), "the nominal pool", row_keys(z))
    here = coefficients("the nominal pool", delta, z, len(true))
    nuisances = Nuisances.of(here, Normalisation(0.0))
    there = nuisances.columns("the pool at nu", coefficients("the pool at nu", delta, events.z, len(true)))
    base = events.nominal / events.nominal.sum()
    psi = nuisances.columns("the nominal pool", here)
    pools = _Pools(nuisances, psi, w / w.sum(), there, events.shares, base, paired)
    rng = np.random.default_rng([seed, PULL_STREAM])
    data = _sums(pools, rng.poisson(n_events * events.rate, n_samples), rng)
    auxiliary = true + rng.normal(size=(n_samples, len(true)))
    fits = fit_nu(nuisances, psi, pools.shares, n_events, data, auxiliary)
    worth = min(_effective(w), _effective(events.nominal)) / n_events
    return _point(true, here.names, fits, n_events**2 * _shared(pools, true), worth)


def _sums(pools: _Pools, counts: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Return sums of psi (T, p) over `counts` (T,) events each, drawn by their shares."""
    psi, cumulative = pools.there, np.cumsum(pools.moved)
    at = np.searchsorted(cumulative / cumulative[-1], rng.random(int(counts.sum())), side="right")
    return np.stack([psi[rows].sum(axis=0) for rows in np.split(at, np.cumsum(counts)[:-1])])


def _shared(pools: _Pools, true: Floats) -> Floats:
    """Return the covariance (k, k), for N = 1, of the slope at the true nu that the finite pools give all samples."""
    nu = torch.from_numpy(true[None])
    m, j = pools.nuisances.monomials(nu)[0].numpy(), pools.nuisances.jacobian(nu)[0].numpy()
    expected = (pools.here @ j) * (pools.shares * np.exp(pools.here @ m))[:, None]
    seen = (pools.there @ j) * pools.moved[:, None]
    expected -= pools.shares[:, None] * expected.sum(axis=0)
    seen -= pools.base[:, None] * seen.sum(axis=0)
    parts = [seen - expected] if pools.paired else [seen, expected]
    covariance: Floats = sum((part.T @ part for part in parts), start=np.zeros((len(true), len(true))))
    return covariance


def _effective(w: Floats) -> float:
    return float(w.sum() ** 2 / np.square(w).sum())


def _point(true: Floats, names: tuple[str, ...], fits: NuFits, shared: Floats, worth: float) -> PullPoint:
    t = len(fits.nu)
    pull = (fits.nu - true) / fits.error
    width, inside = pull.std(axis=0, ddof=1), (np.abs(pull) <= 1.0).mean(axis=0)
    covariance = fits.covariance.mean(axis=0)
    common = np.diagonal(covariance @ shared @ covariance) / np.diagonal(covariance)
    columns = {
        "bias": pull.mean(axis=0),
        "bias_error": np.sqrt(width**2 / t + common),
        "width": width,
        "width_error": width / np.sqrt(2.0 * (t - 1)),
        "coverage": inside,
        "coverage_error": np.full(len(names), np.sqrt(ONE_SIGMA * (1.0 - ONE_SIGMA) / t)),
        "error": np.median(fits.error, axis=0),
    }
    plain = {name: tuple(float(value) for value in column) for name, column in columns.items()}
    return PullPoint(nu=tuple(true.tolist()), names=names, n_samples=t, worth=worth, **plain)
