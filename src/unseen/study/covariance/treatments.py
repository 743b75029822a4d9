"""Ways to treat nuisance parameters in a search: each is a test, a null distribution, and data at nu to judge.

ignored: the test without nuisance parameters, its null from nominal toys. profiled: nu fitted with every f, toys throw
nu and its auxiliary measurements. marginalised: the statistic of `ignored`, its null from toys that throw nu from the
prior (the prior predictive distribution).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from unseen.power.contender import Reading
from unseen.power.significance import Significance, significance
from unseen.search import KernelTest, Null, PseudoData
from unseen.search.elsewhere import Other, other_statistics, randomised_statistics
from unseen.search.scale import Widths
from unseen.search.toys import Index
from unseen.search.validate import Floats
from unseen.seeds import small_seed
from unseen.study.covariance.moved import Delta

__all__ = ["TREATMENTS", "Judge", "Situation", "Treatment"]


@dataclass(frozen=True)
class Situation:
    """Nominal events z (n, d) of three disjoint pools and how they are searched; events are of equal weight.

    `pool` is what toys get their data from, with the reference; `delta` are the coefficients of log r(z; nu);
    `statistic` that of the tests that profile nothing; `n_null` toys for each null. `same_event` (m,): for each of the
    m events that are judged at nu the row of reference and pool, one after the other, that it is at nu = 0, -1 where it
    is not selected there; None for events of their own.
    """

    settings: Floats
    reference: Floats
    pool: Floats
    delta: Delta
    n_data: float
    n_null: int = 1000
    widths: Widths = "percentile(90)"
    n_centers: int = 200
    penalty: float = 1e-6
    statistic: str = "converged"
    normalisation: str = "known"
    seed: int = 0
    same_event: Index | None = None

    def test(self, statistic: str) -> KernelTest:
        """Return the test, not fitted."""
        return KernelTest(
            widths=self.widths,
            n_centers=self.n_centers,
            penalty=self.penalty,
            normalisation=self.normalisation,
            seed=small_seed(self.seed, "search"),
            statistic=statistic,
        )


@dataclass(frozen=True)
class Judge:
    """A test on toys and its null: what it says of data at nu. `ratio` where nu is profiled."""

    pseudo: PseudoData
    null: Null
    ratio: Delta | None = None

    def judge(self, others: tuple[Other, ...], n_toys: int, seed: int, nu: Floats) -> Significance:
        """Return the significance of `n_toys` data sets drawn from `others`, events at nu (k,)."""
        others = tuple(replace(other, ratio=self.ratio) for other in others)
        columns = [other_statistics(self.pseudo, k, others, n_toys, seed, nu) for k in range(self.pseudo.n_maps)]
        return significance(self.null, np.stack(columns, axis=1))


Treatment = Callable[[Situation], Judge]


def ignored(situation: Situation) -> Judge:
    """Nothing is known of nu."""
    pseudo = _fitted(situation, profile=False)
    return _judge(situation, pseudo, lambda k, seed: pseudo.statistics(k, situation.n_null, seed))


def profiled(situation: Situation) -> Judge:
    """nu is fitted, constrained by its auxiliary measurement (arXiv:2111.13633)."""
    pseudo = _fitted(situation, profile=True)
    return _judge(situation, pseudo, lambda k, seed: pseudo.statistics(k, situation.n_null, seed))


def marginalised(situation: Situation) -> Judge:
    """The null throws nu, the statistic does not know it."""
    pseudo = _fitted(situation, profile=False)
    return _judge(
        situation, pseudo, lambda k, seed: randomised_statistics(pseudo, k, situation.delta, situation.n_null, seed)
    )


# Extending: a function of the situation, and one line here.
TREATMENTS: Mapping[str, Treatment] = {"ignored": ignored, "profiled": profiled, "marginalised": marginalised}


def _fitted(situation: Situation, *, profile: bool) -> PseudoData:
    test = situation.test("converged" if profile else situation.statistic)
    ratio = situation.delta if profile else None
    test.fit(situation.reference, expected=situation.n_data, settings=situation.settings, ratio=ratio)
    return test.pseudo_data(situation.pool, {})


def _judge(situation: Situation, pseudo: PseudoData, toys: Callable[[int, int], Floats]) -> Judge:
    seed = small_seed(situation.seed, "toys")
    t = np.stack([toys(k, seed) for k in range(pseudo.n_maps)], axis=1)
    null = Reading("kernel", tuple(range(pseudo.n_maps)), pseudo.mode).null(t, "", 0)
    return Judge(pseudo, null, situation.delta if pseudo.simulation.fitted.nuisances is not None else None)
