"""Impact: which nuisance parameters does the p-value of a data set rest on? Each is frozen in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unseen.search import KernelTest, SearchResult
from unseen.search.validate import Floats, as_events
from unseen.seeds import small_seed
from unseen.study.covariance.frozen import freeze_nuisances
from unseen.study.covariance.moved import Delta, coefficients
from unseen.study.covariance.treatments import Situation

__all__ = ["Held", "Impact", "hold", "impacts"]


@dataclass(frozen=True)
class Impact:
    """A search with the parameter `name` frozen at its auxiliary measurement; "" where all are profiled.

    `dz` is Z above that of the full search: large where the parameter explained what would have been an excess.
    `pull` is the parameter's in the full search (None where the data say nothing of it).
    """

    name: str
    p_value: float
    z: float
    dz: float
    pull: float | None


def impacts(situation: Situation, data: ArrayLike, auxiliary: ArrayLike | None = None) -> list[Impact]:
    """Return the full search of `data` (n, d), then one with each nuisance parameter frozen, by falling |dz|.

    A frozen parameter is fixed at its auxiliary measurement (k,), zero unless given: reference and toys are reweighted
    to it. Each null has `situation.n_null` toys, which limit the Z that can be told apart.
    Errors: those of `KernelTest.search`.
    """
    x = as_events("data", data)
    names = coefficients("the reference", situation.delta, situation.reference[:1]).names
    a = np.zeros(len(names)) if auxiliary is None else np.asarray(auxiliary, dtype=np.float64).reshape(-1)
    full = _search(situation, x, situation.delta, a, {})
    pulls = dict(zip(full.checks["nuisances"]["names"], full.checks["nuisances"]["pull"], strict=True))
    rows = []
    for i, name in enumerate(names):
        found = _search(situation, x, situation.delta, a, {name: float(a[i])})
        rows.append(Impact(name, found.p_value, found.z, found.z - full.z, pulls.get(name)))
    rows.sort(key=lambda row: -abs(row.dz))
    return [Impact("", full.p_value, full.z, 0.0, None), *rows]


@dataclass(frozen=True, eq=False)
class Held:
    """What a search with some parameters frozen needs: the ratio of the others (None if none is left), and weights.

    `weights` and `pool_weights` (n,) take the reference and the toys' pool to the frozen values, None where these
    change nothing; `rate` is the yield there over the nominal one; `left` are the places of the others.
    """

    ratio: Delta | None
    left: tuple[int, ...]
    weights: Floats | None
    pool_weights: Floats | None
    rate: float


def hold(delta: Delta, reference: Floats, pool: Floats, values: Mapping[str, float]) -> Held:
    """Return the parts of a search with the parameters of `values` frozen. Errors: those of `freeze_nuisances`."""
    names = coefficients("the reference", delta, reference[:1]).names
    left = tuple(i for i, name in enumerate(names) if name not in values)
    at = np.array([values.get(name, 0.0) for name in names])
    parts = [
        np.exp(coefficients(what, delta, z).log_ratio(at)) for what, z in (("the reference", reference), ("pool", pool))
    ]
    weights = [part if np.ptp(part) > 0 else None for part in parts]
    ratio = freeze_nuisances(delta, names, values) if left else None
    return Held(ratio, left, weights[0], weights[1], float(np.mean(np.concatenate(parts))))


def _search(situation: Situation, x: Floats, delta: Delta, a: Floats, values: Mapping[str, float]) -> SearchResult:
    """Return the search with the parameters of `values` frozen."""
    held = hold(delta, situation.reference, situation.pool, values) if values else None
    held = held or Held(delta, tuple(range(len(a))), None, None, 1.0)
    test: KernelTest = situation.test("converged")
    test.fit(
        situation.reference,
        held.weights,
        expected=situation.n_data * held.rate,
        settings=situation.settings,
        ratio=held.ratio,
    )
    seed = small_seed(situation.seed, "toys")
    test.calibrate(situation.pool, "toys", n_toys=situation.n_null, seed=seed, weights=held.pool_weights)
    return test.search(x, auxiliary=a[list(held.left)] if held.left else None)
