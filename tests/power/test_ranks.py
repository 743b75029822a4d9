"""Many data sets ranked at once have the p-values of one at a time, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.power.problems import fitted, samples
from unseen.power.kernel import kernel_contender
from unseen.power.ranks import p_values
from unseen.search import Null
from unseen.search.combine import COMBINATIONS


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("widths", [1, 2, 5])
def test_p_is_that_of_one_data_set_at_a_time(combination: str, widths: int) -> None:
    rng = np.random.default_rng(widths)
    toys = rng.chisquare(5, (300, widths)) * rng.uniform(0.5, 2.0, widths) + 0.3 * rng.chisquare(5, (300, 1))
    toys[rng.random(toys.shape) < 0.02] = -1.0  # an event beyond the data can drive t below zero
    null = Null(toys, "linear", combination)
    extreme = rng.chisquare(5, (25, widths)) + np.linspace(0.0, 60.0, 25)[:, None]
    t = np.vstack([extreme, toys[:10], np.zeros((1, widths)), np.full((1, widths), 1e6)])
    np.testing.assert_array_equal(p_values(null, t), [null.p_value(row).p for row in t])


def test_p_of_an_analytic_null_joins_the_widths_by_the_same_draws() -> None:
    own = samples()
    test = fitted(statistic="linear", penalty=1e-3, widths=[1.0, 2.5])
    contender = kernel_contender(test, own.pool, own.signals, calibration="asymptotic")
    null = contender.readings[0].analytic
    assert null is not None
    t = np.hstack([contender.candidate.statistics(k, 4, 1, "bump", 20, None) for k in range(2)])
    t = np.vstack([t, 1e3 * t[:1]])
    np.testing.assert_array_equal(p_values(null, t), [null.p_value(row).p for row in t])
