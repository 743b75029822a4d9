"""Searches of null data, each with its own reference, settings, pool and toys, must give uniform p-values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.rivals.problems import log_ratio
from unseen.rivals import RIVALS, Ceiling, Rival
from unseen.rivals.autoencoder import AutoencoderCut
from unseen.rivals.c2st import C2ST
from unseen.rivals.isolation_forest import IsolationForestCut
from unseen.rivals.nplm_nn import NPLMNetwork

TOYS, EXPECTED = 39, 40
CHEAP: dict[str, Callable[[], Rival]] = {
    name: RIVALS[name] for name in ("mmd", "energy", "mahalanobis", "binned", "knn")
}
CHEAP["ceiling"] = lambda: Ceiling(10.0, lambda x: 0.3 * log_ratio(x))
SLOW: dict[str, Callable[[], Rival]] = {
    "c2st": lambda: C2ST(n_trees=5),
    "nplm_nn": lambda: NPLMNetwork(epochs=100, learning_rate=0.05),
    # few background events pass the default cut, and ties of counts make p too large
    "isolation_forest": lambda: IsolationForestCut(cut=0.4),
    "autoencoder": lambda: AutoencoderCut(cut=0.4, epochs=5),
}


def null_ranks(make: Callable[[], Rival], n_searches: int, seed: int) -> np.ndarray:
    """Return p of every column in uniform units (n_searches, columns): the rank, smeared within its step of 1/40."""
    rng = np.random.default_rng(seed)
    p = []
    for _ in range(n_searches):
        rival = make().fit(rng.normal(size=(250, 2)), expected=EXPECTED)
        rival.calibrate(rng.normal(size=(20 * EXPECTED, 2)), TOYS, seed=int(rng.integers(2**31)))
        p.append([r.p_value for r in rival.search(rng.normal(size=(rng.poisson(EXPECTED), 2))).values()])
    return np.array(p) - rng.random((n_searches, 1)) / (TOYS + 1)


@pytest.mark.parametrize("name", CHEAP)
def test_p_is_uniform(name: str) -> None:
    for p in null_ranks(CHEAP[name], 120, seed=11).T:
        assert stats.kstest(p, "uniform").pvalue > 1e-3 / len(CHEAP)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP | SLOW)
def test_p_is_uniform_in_many_searches(name: str) -> None:
    make = (CHEAP | SLOW)[name]
    for p in null_ranks(make, 400 if name in CHEAP else 40 if name == "c2st" else 100, seed=12).T:
        assert stats.kstest(p, "uniform").pvalue > 1e-3 / len(CHEAP | SLOW)
