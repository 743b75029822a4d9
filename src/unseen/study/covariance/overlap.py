"""Which systematic a signal looks like: angles between their directions in function space.

A signal changes the log density along s(z) = p_signal / p_background - 1, a nuisance parameter along delta_k(z). In L2
under the reference, the inner product of Fisher's information, the cosine between the two says how much a shift of
nu_k looks like the signal: <delta_k, s> is the mean of delta_k over signal minus that over background, and |s|^2 the
mean of p_signal / p_background over signal, minus 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import NonFiniteError
from unseen.search.validate import Floats, as_events, as_weights, check_positive
from unseen.study.covariance.moved import Delta, coefficients

__all__ = ["Overlap", "overlap"]

BOOTSTRAPS = 200
ONE_SIGMA = 0.6826894921370859
TINY = 1e-12


@dataclass(frozen=True)
class Overlap:
    """Cosines between one signal and each of `names`, with intervals of 68 % (bootstrap).

    `looks_like` is the length of the signal's projection on all nuisance parameters together, as they may move within
    priors and data of N events; its square is the share of the information on the signal that profiling them costs.
    `distance` is |s|, `among` (k, k) the cosines of the parameters among themselves.
    """

    names: tuple[str, ...]
    cosine: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    looks_like: float
    looks_like_interval: tuple[float, float]
    distance: float
    among: Floats

    @property
    def closest(self) -> str:
        """The parameter with the largest cosine, whatever its sign."""
        return self.names[int(np.argmax(np.abs(self.cosine)))]


def overlap(
    background: ArrayLike,
    signal: ArrayLike,
    delta: Delta,
    log_ratio: Callable[[Floats], Floats],
    n_data: float,
    *,
    weights: ArrayLike | None = None,
    yield_known: bool = False,
    seed: int = 0,
) -> Overlap:
    """Return the angles of one signal.

    `background` and `signal` (n, d) are events that `log_ratio`, log p_signal / p_background of events (such as
    `unseen.rivals.supervised.learn_log_ratio`), was not learned from. Directions are those of shapes; with
    `yield_known` a change of the yield counts as well. Errors: ShapeError, NonFiniteError.
    """
    check_positive("n_data", n_data)
    b, s = as_events("background", background), as_events("signal", signal)
    w = as_weights("weights", weights, len(b))
    rho = np.exp(np.asarray(log_ratio(s), dtype=np.float64))
    if not np.isfinite(rho).all():
        raise NonFiniteError("the ratio of signal to background is not finite for some signal events")
    here, there = (coefficients(name, delta, x) for name, x in (("background", b), ("signal", s)))
    rng = np.random.default_rng([seed, 3])
    sums = _Sums(here.linear, there.linear, rho, w / w.sum(), n_data, yield_known)
    plain = np.full(len(s), 1.0 / len(s))
    cosine, like, distance, among = sums.angles(sums.background, plain)
    drawn = []
    for _ in range(BOOTSTRAPS):
        again = sums.background * rng.poisson(1.0, len(b))
        drawn.append(sums.angles(again / again.sum(), rng.multinomial(len(s), plain) / len(s)))
    ends = [0.5 - ONE_SIGMA / 2, 0.5 + ONE_SIGMA / 2]
    low, high = np.quantile([found[0] for found in drawn], ends, axis=0)
    around = np.quantile([found[1] for found in drawn], ends)
    return Overlap(
        here.names,
        tuple(cosine.tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
        like,
        (float(around[0]), float(around[1])),
        distance,
        among,
    )


@dataclass(frozen=True)
class _Sums:
    """delta of background (n, k) and signal (m, k), the ratio at the signal (m,), and shares (n,) of the background."""

    here: Floats
    there: Floats
    rho: Floats
    background: Floats
    n_data: float
    yield_known: bool

    def angles(self, p: Floats, q: Floats) -> tuple[Floats, float, float, Floats]:
        """Return cosines (k,), the projection's length, |s|, and the parameters' cosines, with event shares p and q."""
        mean = p @ self.here
        gram = (self.here * p[:, None]).T @ self.here
        across, square = q @ self.there, float(q @ self.rho)
        if not self.yield_known:
            gram, across, square = gram - np.outer(mean, mean), across - mean, square - 1.0
        length, distance = np.sqrt(np.maximum(np.diagonal(gram), 0.0)), float(np.sqrt(max(square, TINY)))
        safe = np.where(length > TINY, length, np.inf)
        stiff = gram + np.eye(len(gram)) / self.n_data
        like = max(float(across @ np.linalg.solve(stiff, across)), 0.0) ** 0.5 / distance
        among: Floats = gram / np.outer(safe, safe)
        return np.clip(across / (safe * distance), -1.0, 1.0), min(like, 1.0), distance, among
