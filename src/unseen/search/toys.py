"""Drawing toys: which events of a union of simulated events play reference and data in each toy.

`redrawn`: U is the reference and the pool together. A toy draws N_D ~ Poisson(N) events of U as data and then N_R of
the remaining ones as reference. Both are without replacement and disjoint, so the difference of their means has
variance S^2 (1/N_D + 1/N_R) with S^2 the unbiased variance of U: exactly right in expectation for a U of any size,
where drawing data from a small pool against a fixed reference is not.

`fixed`: the reference stays the one at hand and the data come from the pool. The p-value then conditions on that
reference, and the pool's own fluctuation shifts all toys alike, a variance of N_D over its size relative to the
data's: with a pool of 2 N_D null data gave p <= 0.05 in 17 % of cases, with one of 5 N_D in 6 %, so that less is
refused.

N_D is never zero: the test of no data is an error, so toys are conditioned the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ConfigError, NotEnoughEventsError

__all__ = ["REFERENCES", "ToyPlan", "plan_toys"]

REFERENCES = ("redrawn", "fixed")
MARGIN_SIGMA = 5.0  # the pool must hold N plus this many standard deviations
FIXED_POOL = 5.0  # times N: the smallest pool for toys with a fixed reference
Index = NDArray[np.int64]


@dataclass(frozen=True)
class ToyPlan:
    """Everything that fixes the toys: rows 0..n_reference-1 of the union are the reference, the rest the pool."""

    reference: str
    n_reference: int
    n_pool: int
    n_data: Index
    seed: int

    @property
    def n_toys(self) -> int:
        """Number of toys."""
        return len(self.n_data)

    def draw(self, toy: int) -> tuple[Index, Index]:
        """Return the rows of the union that are (reference, data) in one toy; depends on seed and `toy` alone."""
        rng = np.random.default_rng([self.seed, toy])
        n_data = int(self.n_data[toy])
        if self.reference == "fixed":
            return np.arange(self.n_reference), self.n_reference + rng.choice(self.n_pool, n_data, replace=False)
        rows = rng.choice(self.n_reference + self.n_pool, n_data + self.n_reference, replace=False)
        return rows[n_data:], rows[:n_data]


def plan_toys(
    n_toys: int, expected: float, n_reference: int, n_pool: int, reference: str, seed: int, n_data: int | None
) -> ToyPlan:
    """Return a plan of `n_toys` toys, or raise NotEnoughEventsError when the pool cannot supply them.

    `n_data` fixes N_D in every toy (a test of shape alone, conditional on the yield); None throws it from
    Poisson(expected), given at least one event.
    """
    if n_toys < 1 or seed < 0:
        raise ConfigError(f"n_toys is {n_toys} and seed is {seed}; expected n_toys >= 1 and seed >= 0")
    needed = n_data if n_data is not None else int(np.ceil(expected + MARGIN_SIGMA * np.sqrt(expected)))
    if reference == "fixed":
        needed = max(needed, int(np.ceil(FIXED_POOL * (expected if n_data is None else n_data))))
    if n_pool < needed:
        raise NotEnoughEventsError(
            f"the pool has {n_pool} events; toys of {expected:g} expected events (reference {reference}) need at least "
            f"{needed} (20 times the expectation, {20 * expected:g}, is better)"
        )
    if n_data is not None:
        return ToyPlan(reference, n_reference, n_pool, np.full(n_toys, n_data), seed)
    counts = _positive_poisson(np.random.default_rng([seed]), expected, n_toys)
    if counts.max() > n_pool:
        raise NotEnoughEventsError(f"a toy drew {counts.max()} data events, the pool has {n_pool}; enlarge the pool")
    return ToyPlan(reference, n_reference, n_pool, counts, seed)


def _positive_poisson(rng: np.random.Generator, mean: float, n: int) -> Index:
    """Return `n` Poisson counts given that each is at least one: the inverse of the truncated distribution."""
    if mean > 30.0:  # zero has a probability below 1e-13
        return rng.poisson(mean, n)
    counts = rng.poisson(mean, n)
    while (counts == 0).any():
        counts[counts == 0] = rng.poisson(mean, int((counts == 0).sum()))
    return counts
