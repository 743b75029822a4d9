"""Null data must give uniform p-values, whatever the normalisation and however the toys are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.problems import Floats, mixture
from unseen.search import KernelTest

WIDTHS = (0.4, 1.0, 2.5)
EXPECTED = 50
PER_MILLE_KS = 1.95  # two-sided Kolmogorov-Smirnov critical value at 0.1 %


def shared_null_p(n_data_sets: int, n_toys: int, seed: int) -> Floats:
    """Return p of null data sets against one reference and one null, both conditional on that reference."""
    rng = np.random.default_rng(seed)
    test = KernelTest(widths=WIDTHS, n_centers=30, penalty=1e-5).fit(mixture(rng, 500), expected=EXPECTED)
    test.calibrate(mixture(rng, 100 * EXPECTED), n_toys=n_toys, reference="fixed")
    counts = rng.poisson(EXPECTED, n_data_sets)
    return np.array([test.search(mixture(rng, n)).p_value for n in counts])


def check_shared(p: Floats, n_toys: int) -> None:
    """Data sets and toys are two samples of one distribution: their KS distance has both sizes in it."""
    distance = stats.kstest(p, stats.uniform(0, 1).cdf).statistic - 1 / (n_toys + 1)  # ranks sit on a grid
    assert distance < PER_MILLE_KS * np.sqrt(1 / len(p) + 1 / n_toys)
    at_5 = np.mean(p <= 0.05)
    assert abs(at_5 - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 * (1 / len(p) + 1 / n_toys))


def test_p_is_uniform_with_a_shared_null() -> None:
    check_shared(shared_null_p(60, 150, 1), 150)


@pytest.mark.slow
def test_p_is_uniform_for_500_data_sets_with_a_shared_null() -> None:
    check_shared(shared_null_p(500, 999, 2), 999)


@pytest.mark.slow
@pytest.mark.parametrize("normalisation", ["known", "free"])
def test_p_is_uniform_for_500_independent_searches(normalisation: str) -> None:
    """Every search has its own reference, settings, pool and 39 toys: p is exactly one of 40 equally likely values.

    Redrawn toys share events with the reference at hand, so exactness is a claim to be tested.
    """
    rng = np.random.default_rng(3 if normalisation == "known" else 4)
    p = []
    for _ in range(500):
        test = KernelTest(widths=WIDTHS, n_centers=30, penalty=1e-5, normalisation=normalisation)
        test.fit(mixture(rng, 500), expected=EXPECTED)
        test.calibrate(mixture(rng, 20 * EXPECTED), n_toys=39, seed=int(rng.integers(2**31)))
        p.append(test.search(mixture(rng, rng.poisson(EXPECTED))).p_value)
    ranks = np.round(np.array(p) * 40).astype(int)
    twenty_bins = np.bincount((ranks - 1) // 2, minlength=20)
    assert stats.chisquare(twenty_bins).pvalue > 1e-3
    rejected = int((ranks <= 2).sum())  # p <= 0.05
    assert stats.binomtest(rejected, 500, 0.05).pvalue > 1e-3


@pytest.mark.parametrize("reference", ["redrawn", "fixed"])
def test_p_of_linear_toys_is_uniform_with_few_events_per_kernel(reference: str) -> None:
    """H0 is one matrix for data and toys: it must not know the events of one better than those of the others."""
    rng, p = np.random.default_rng(5), []
    for seed in range(60):
        test = KernelTest(0.3, n_centers=100, penalty=1e-5, statistic="linear", rank_tolerance=0.0)
        test.fit(mixture(rng, 500), expected=EXPECTED, settings=mixture(rng, 100))
        test.calibrate(mixture(rng, 10 * EXPECTED), "linear", n_toys=39, seed=seed, reference=reference)
        p.append(test.search(mixture(rng, rng.poisson(EXPECTED))).p_value)
    ranks = np.round(np.array(p) * 40).astype(int)
    assert stats.chisquare(np.bincount((ranks - 1) // 8, minlength=5)).pvalue > 1e-3
    assert stats.binomtest(int((ranks <= 2).sum()), 60, 0.05).pvalue > 1e-3
