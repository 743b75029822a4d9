"""The published one-dimensional setting with uncertain scale and yield (arXiv:2111.13633), at a tenth of its size."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("imperfect_machine")


def test_the_second_order_of_the_scale_closes(study: ModuleType) -> None:
    # n(x | nu) = 2000 exp(-s nu) 8 exp(-8 x exp(-s nu)): the third order is 8 x (s nu)^3 / 6, 0.002 at x = 1.5, nu = 2.
    largest, cost = study.closure(study.second_order, 2.0)
    assert largest == pytest.approx(12.0 * 0.1**3 / 6, rel=0.05)
    assert cost < 1e-3


def test_log_r_is_what_the_distortion_does(study: ModuleType) -> None:
    case, nu = study.Case(("scale", "yield")), np.array([1.5, -1.0])
    rng = np.random.default_rng(1)
    x = study.background(rng, 200_000)
    edges = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 2.0])
    moved = np.histogram(case.distort(x, nu), edges)[0] * case.events(nu)
    weights = np.exp(case.delta(x[:, None]).log_ratio(nu)) * study.EXPECTED
    reweighted = np.histogram(x, edges, weights=weights)[0]
    # The same events: bins differ by those that migrate, at most three in a hundred of the smallest one's 3,600.
    np.testing.assert_allclose(moved, reweighted, rtol=0.04)


def test_profiling_keeps_the_rate_where_ignoring_does_not(study: ModuleType) -> None:
    options = study.Options(reference=20_000, centers=100, width=0.3, penalty=1e-5, seed=0)
    rates = {}
    for profiled in (True, False):
        one = study.Study(study.Case(("scale", "yield"), profiled=profiled), options)
        null = one.statistics(150, 1, None if profiled else 0.0)
        rates[profiled] = np.mean(one.statistics(50, 2, 2.0) > np.quantile(null, 0.95))
    # 0.05 among 50 judged by a quantile of 150 others: three standard deviations are 0.11.
    assert rates[True] < 0.16
    assert rates[False] > 0.9
