"""Permutations: shuffled labels of reference and data, exact whatever the sizes, for shape alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.problems import Floats, mixture, small_test
from unseen import errors
from unseen.search import KernelTest


def permuted(rng: np.random.Generator, data: Floats, n_toys: int = 19, seed: int = 1, **options: object) -> KernelTest:
    """Return a test of a reference of 60 events, calibrated with permutations with `data`."""
    test = small_test(**({"widths": (0.4, 1.5), "n_centers": 8, "penalty": 1e-3} | options))
    test.fit(mixture(rng, 60), expected=float(len(data)), settings=mixture(rng, 20))
    test.calibrate(data, "permutation", n_toys=n_toys, seed=seed)
    return test


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"statistic": "linear", "normalisation": "free"},
        {"normalisation": "constrained(0.1)", "combination": "fisher", "precision": "mixed", "rank_tolerance": 0.01},
    ],
)
def test_p_is_exact_for_small_samples(options: dict[str, object]) -> None:
    """60 null data sets of 25 events, 19 permutations each: every rank from 1 to 20 is equally likely."""
    rng, ranks = np.random.default_rng(1), []
    for seed in range(60):
        data = mixture(rng, 25)
        result = permuted(rng, data, seed=seed, **options).search(data)
        assert result.calibration == "permutation"
        ranks.append(round(20 * result.p_value))
    assert stats.chisquare(np.bincount((np.array(ranks) - 1) // 4, minlength=5)).pvalue > 1e-3
    assert np.mean(ranks) == pytest.approx(10.5, abs=3.3 * np.sqrt((20**2 - 1) / 12 / 60))
    assert stats.binomtest(sum(rank <= 2 for rank in ranks), 60, 0.1).pvalue > 1e-3


def test_a_signal_is_found() -> None:
    rng = np.random.default_rng(2)
    data = np.vstack([mixture(rng, 25), rng.normal([2.5, -2.0], 0.1, (20, 2))])
    assert permuted(rng, data, 99).search(data).at_resolution


def test_a_pure_excess_is_not_since_all_permutations_have_it() -> None:
    rng = np.random.default_rng(3)
    data = mixture(rng, 120)
    test = small_test(widths=1.0, n_centers=10, penalty=1e-3).fit(mixture(rng, 300), expected=60)
    null = test.calibrate(data, "permutation", n_toys=99)
    assert null.n_data == 120
    assert null.t.mean() > 30.0  # an excess of 60 over 60 expected
    assert test.search(data).p_value > 0.01


def test_permutations_hold_every_event_once() -> None:
    rng = np.random.default_rng(4)
    data = mixture(rng, 25)
    null = permuted(rng, data)._null
    assert null is not None
    assert (null.reference, null.n_pool, null.calibration) == ("redrawn", 25, "permutation")


def test_other_data_are_refused() -> None:
    rng = np.random.default_rng(5)
    data = mixture(rng, 25)
    test = permuted(rng, data)
    assert 0.0 < test.search(data).p_value <= 1.0
    assert 0.0 < test.search(data.copy()).p_value <= 1.0
    moved = data.copy()
    moved[7, 1] += 1e-6
    for other in (mixture(rng, 25), data[:-1], moved):
        with pytest.raises((errors.OverlapError, errors.ConfigError), match="data"):
            test.search(other)


def test_data_that_are_in_the_reference_are_refused() -> None:
    rng = np.random.default_rng(6)
    reference = mixture(rng, 60)
    test = small_test(n_centers=10).fit(reference, expected=25)
    with pytest.raises(errors.OverlapError, match="data are also in"):
        test.calibrate(np.vstack([mixture(rng, 20), reference[:5]]), "permutation", n_toys=19)


def test_weighted_references_are_refused() -> None:
    rng = np.random.default_rng(7)
    test = small_test(n_centers=10).fit(mixture(rng, 60), rng.uniform(0.5, 1.0, 60), expected=25)
    with pytest.raises(errors.ConfigError, match="equal reference weights"):
        test.calibrate(mixture(rng, 25), "permutation", n_toys=19)


def test_a_saved_permutation_test_keeps_its_guard(tmp_path: object) -> None:
    rng = np.random.default_rng(8)
    data = mixture(rng, 25)
    test = permuted(rng, data)
    result = test.search(data)
    test.save(f"{tmp_path}/test.npz")
    loaded = KernelTest.load(f"{tmp_path}/test.npz")
    assert loaded.search(data) == result
    with pytest.raises(errors.OverlapError, match="same data"):
        loaded.search(mixture(rng, 25))
