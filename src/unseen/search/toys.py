"""Drawing toys: which events of a union of simulated events play reference and data in each toy.

`redrawn`: U is the reference and the pool together. A toy draws N_D ~ Poisson(N) events of U as data and then N_R of
the remaining ones as reference. Both are without replacement and disjoint, so the difference of their means has
variance S^2 (1/N_D + 1/N_R) with S^2 the unbiased variance of U: exactly right in expectation for a U of any size,
where drawing data from a small pool against a fixed reference is not.

`fixed`: the reference stays the one at hand and the data come from the pool. The p-value then conditions on that
reference, and the pool's own fluctuation shifts all toys alike, a variance of N_D over its size relative to the
data's: with a pool of 2 N_D null data gave p <= 0.05 in 17 % of cases, with one of 5 N_D in 6 %, so that less is
refused.

`permuted`: U is the reference and the data themselves, and a toy shuffles which is which.

With `n_signal`, a toy's data have that many random events of the signal's rows on top of their background: pseudo-data
for a study of power. The signal's rows follow the pool's in the union.

Weighted events play reference with their weight and data by hit or miss. N_D is never zero: the test of no data is an
error, so toys are conditioned the same way. With a constrained normalisation the auxiliary measurement of the yield
is thrown too: the toy's expectation is N exp(sigma a), a unit Gaussian a.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ConfigError, NotEnoughEventsError
from unseen.search.subsets import random_parts, random_subset
from unseen.search.validate import Floats

__all__ = [
    "REFERENCES",
    "Codes",
    "Index",
    "ToyPlan",
    "hits_for",
    "not_given",
    "plan_toys",
    "positive_poisson",
    "rounded_up",
]

REFERENCES = ("redrawn", "fixed")
MARGIN_SIGMA = 5.0  # the pool must hold N plus this many standard deviations
FIXED_POOL = 5.0  # times N: the smallest pool for toys with a fixed reference
Index = NDArray[np.int64]
Codes = NDArray[np.int8]
YIELD_STREAM = 2**63  # the seed stream of the thrown yields, which no toy's number reaches


@dataclass(frozen=True)
class ToyPlan:
    """Everything that fixes the toys: the rows of the union are reference, pool and signal, in this order.

    `n_data` (n_toys,) counts each toy's data, including the `n_signal` that come from the `n_source` signal rows;
    `accept` (n_reference + n_pool,) is the probability with which an event may play data, None for all alike;
    `expected` (n_toys,) is each toy's N, `auxiliary` (n_toys, K) the auxiliary measurements of profiled nuisances.
    """

    reference: str
    n_reference: int
    n_pool: int
    n_data: Index
    expected: Floats
    seed: int
    accept: Floats | None = field(default=None, repr=False)
    n_signal: int = 0
    n_source: int = 0
    auxiliary: Floats | None = field(default=None, repr=False)

    @property
    def n_toys(self) -> int:
        """Number of toys."""
        return len(self.n_data)

    def acceptance(self, toy: int) -> Floats | None:
        """Return the probability (n_reference + n_pool,) with which an event may play data in one toy, None: alike."""
        return self.accept

    def draw(self, toy: int) -> Codes:
        """Return what each event of the union is in one toy: +1 reference, -1 data, 0 neither.

        Depends on the seed and `toy` alone.
        """
        rng = np.random.default_rng([self.seed, toy])
        code = self._background(rng, int(self.n_data[toy]) - self.n_signal, self.acceptance(toy))
        if self.n_source == 0:
            return code
        return np.concatenate([code, -random_subset(rng, self.n_source, self.n_signal)])

    def _background(self, rng: np.random.Generator, n_data: int, accept: Floats | None) -> Codes:
        """Return what each event of reference and pool is, with `n_data` of them as data."""
        n = self.n_reference + self.n_pool
        if self.reference == "fixed":
            code = np.ones(n, dtype=np.int8)
            own = None if accept is None else accept[self.n_reference :]
            code[self.n_reference :] = -_data(rng, self.n_pool, n_data, own)
            return code
        if accept is None:
            return random_parts(rng, n, n_data, self.n_reference)
        code = random_subset(rng, n, self.n_reference)
        rest = np.flatnonzero(code == 0)
        code[rest] = -_data(rng, len(rest), n_data, accept[rest])
        return code

    def rows(self, toy: int) -> tuple[Index, Index]:
        """Return the rows of the union that are (reference, data) in one toy."""
        code = self.draw(toy)
        return np.flatnonzero(code > 0), np.flatnonzero(code < 0)


def _data(rng: np.random.Generator, n: int, n_data: int, accept: Floats | None) -> Codes:
    """Return 1 for `n_data` random events of n, weighted ones by hit or miss first."""
    if accept is None:
        return random_subset(rng, n, n_data)
    hit = np.flatnonzero(rng.random(n) < accept)
    if len(hit) < n_data:
        raise NotEnoughEventsError(
            f"a toy needs {n_data} data events and hit-or-miss unweighting left {len(hit)}; enlarge the pool or use "
            "events of more equal weights"
        )
    code = np.zeros(n, dtype=np.int8)
    code[hit[random_subset(rng, len(hit), n_data) > 0]] = 1
    return code


def plan_toys(
    n_toys: int,
    expected: float,
    n_reference: int,
    n_pool: int,
    reference: str,
    seed: int,
    n_data: int | None = None,
    *,
    accept: Floats | None = None,
    sigma: float = 0.0,
    signal: tuple[int, int] = (0, 0),
    assumed: bool = False,
) -> ToyPlan:
    """Return a plan of `n_toys` toys, or raise NotEnoughEventsError when the pool cannot supply them.

    `n_data` fixes N_D in every toy (a test of shape alone, conditional on the yield); None throws it from
    Poisson(expected), given at least one event. `sigma` is the width of the thrown log yield. `signal`: how many signal
    events every toy has beyond that, and how many there are to draw them from. `assumed`: nobody has given `expected`,
    which errors then say.
    """
    if n_toys < 1 or seed < 0:
        raise ConfigError(f"n_toys is {n_toys} and seed is {seed}; expected n_toys >= 1 and seed >= 0")
    needed = n_data if n_data is not None else int(np.ceil(expected + MARGIN_SIGMA * np.sqrt(expected)))
    if reference == "fixed":
        needed = max(needed, int(np.ceil(FIXED_POOL * (expected if n_data is None else n_data))))
    available = n_pool if accept is None else _available(accept, n_reference, reference)
    if available < needed:
        effective = "" if accept is None else f" (of {n_pool} weighted ones)"
        raise NotEnoughEventsError(
            f"the pool has {available} events{effective}; toys of {expected:g} expected events (reference {reference}) "
            f"need at least {needed} (20 times the expectation, {20 * expected:g}, is better)"
            + not_given(expected, assumed and n_data is None)
        )
    rng = np.random.default_rng([seed])
    counts = np.full(n_toys, n_data) if n_data is not None else positive_poisson(rng, expected, n_toys)
    if counts.max() > available:
        raise NotEnoughEventsError(f"a toy drew {counts.max()} data events, the pool has {available}; enlarge the pool")
    thrown = np.random.default_rng([seed, YIELD_STREAM]).normal(0.0, sigma, n_toys) if sigma > 0 else np.zeros(n_toys)
    n_signal, n_source = signal
    if n_signal > n_source:
        raise NotEnoughEventsError(f"pseudo-data with {n_signal} signal events were asked for, there are {n_source}")
    total = expected * np.exp(thrown)
    return ToyPlan(reference, n_reference, n_pool, counts + n_signal, total, seed, accept, n_signal, n_source)


def hits_for(n: int) -> float:
    """Return how many events to accept on average so that MARGIN_SIGMA standard deviations fewer are still `n`."""
    return float(((MARGIN_SIGMA + np.sqrt(MARGIN_SIGMA**2 + 4.0 * n)) / 2.0) ** 2)


def rounded_up(n: float) -> int:
    """Return `n` with two significant digits, or the next larger such number: no advice is better known than that."""
    unit = 10.0 ** max(np.floor(np.log10(max(n, 1.0))) - 1.0, 0.0)
    return int(np.ceil(n / unit) * unit)


def not_given(expected: float, assumed: bool) -> str:
    """Return what an error adds where the number of data events was `assumed`."""
    if not assumed:
        return ""
    return (
        "; 'expected', the number of data events, was not given, and the sum of the reference's weights, "
        f"{expected:g}, was assumed"
    )


def _available(accept: Floats, n_reference: int, reference: str) -> int:
    """Return how many events hit-or-miss leaves for data on average: the pool's effective size."""
    if reference == "fixed":
        return int(accept[n_reference:].sum())
    return int(accept.sum() * (1.0 - n_reference / len(accept)))


def positive_poisson(rng: np.random.Generator, mean: float, n: int) -> Index:
    """Return `n` Poisson counts given that each is at least one: the inverse of the truncated distribution."""
    if mean > 30.0:  # zero has a probability below 1e-13
        return rng.poisson(mean, n)
    counts = rng.poisson(mean, n)
    while (counts == 0).any():
        counts[counts == 0] = rng.poisson(mean, int((counts == 0).sum()))
    return counts
