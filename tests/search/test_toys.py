"""Toys: disjoint, seeded, and with the right variance from a finite union."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import NotEnoughEventsError
from unseen.search.toys import MARGIN_SIGMA, hits_for, plan_toys, rounded_up


def test_reference_and_data_are_disjoint_and_the_right_size() -> None:
    plan = plan_toys(20, 50.0, 300, 400, "redrawn", 3, None)
    for toy in range(20):
        reference, data = plan.rows(toy)
        assert len(reference) == 300
        assert len(data) == plan.n_data[toy]
        assert len(np.unique(np.concatenate([reference, data]))) == len(reference) + len(data)
        assert max(reference.max(), data.max()) < 700
        code = plan.draw(toy)
        assert code.shape == (700,)
        assert (code[reference] == 1).all()
        assert (code[data] == -1).all()
        assert np.abs(code).sum() == len(reference) + len(data)


def test_fixed_reference_stays_and_data_come_from_the_pool() -> None:
    plan = plan_toys(20, 50.0, 300, 400, "fixed", 3, None)
    reference, data = plan.rows(5)
    np.testing.assert_array_equal(reference, np.arange(300))
    assert data.min() >= 300


def test_a_toy_depends_on_seed_and_number_alone() -> None:
    few, many = (plan_toys(n, 50.0, 300, 400, "redrawn", 3, 50) for n in (5, 50))
    np.testing.assert_array_equal(few.draw(4), many.draw(4))
    other = plan_toys(5, 50.0, 300, 400, "redrawn", 4, 50)
    assert not np.array_equal(few.draw(4), other.draw(4))


def test_counts_are_poisson_and_never_zero() -> None:
    counts = plan_toys(4000, 400.0, 10, 1000, "redrawn", 0, None).n_data
    assert abs(counts.mean() - 400) < 5 * np.sqrt(400 / 4000)
    assert abs(counts.var() / 400 - 1) < 5 * np.sqrt(2 / 4000)
    small = plan_toys(2000, 0.5, 10, 100, "redrawn", 0, None).n_data
    assert small.min() == 1
    assert (plan_toys(5, 400.0, 10, 1000, "redrawn", 0, 390).n_data == 390).all()


def test_redrawn_difference_has_the_variance_of_fresh_samples_even_from_a_small_union() -> None:
    rng = np.random.default_rng(1)
    n_reference, n_data, pool, toys, unions = 100, 30, 60, 100, 60
    ratio = []
    for seed in range(unions):
        x = rng.normal(size=n_reference + pool)
        plan = plan_toys(toys, n_data, n_reference, pool, "redrawn", seed, n_data)
        ratio.append(np.var([x[d].mean() - x[r].mean() for r, d in map(plan.rows, range(toys))]))
    expected = 1 / n_reference + 1 / n_data
    # each union estimates S^2 with relative variance 2 / 159 and the toys' variance with 2 / 99
    assert np.mean(ratio) / expected == pytest.approx(1.0, abs=5 * np.sqrt((2 / 159 + 2 / 99) / unions))


@pytest.mark.parametrize(("n", "rounded"), [(0.2, 1), (7.0, 7), (99.5, 100), (1234.0, 1300), (52_000.0, 52_000)])
def test_advice_is_rounded_up_to_two_digits(n: float, rounded: int) -> None:
    assert rounded_up(n) == rounded


def test_the_margin_of_accepted_events_is_met_exactly() -> None:
    for n in (1, 60, 5000):
        assert hits_for(n) - MARGIN_SIGMA * np.sqrt(hits_for(n)) == pytest.approx(n)


def test_a_pool_that_is_too_small_is_named() -> None:
    with pytest.raises(NotEnoughEventsError, match="at least 150"):
        plan_toys(10, 100.0, 300, 149, "redrawn", 0, None)
    assert plan_toys(10, 100.0, 300, 150, "redrawn", 0, None).n_toys == 10


def test_a_fixed_reference_needs_a_pool_of_five_expectations() -> None:
    with pytest.raises(NotEnoughEventsError, match=r"reference fixed\) need at least 500"):
        plan_toys(10, 100.0, 300, 499, "fixed", 0, None)
    assert plan_toys(10, 100.0, 300, 500, "fixed", 0, None).n_toys == 10
    with pytest.raises(NotEnoughEventsError, match="at least 600"):
        plan_toys(10, 100.0, 300, 599, "fixed", 0, 120)


def test_a_constrained_yield_is_thrown_for_every_toy_and_the_counts_stay() -> None:
    """The toy's expectation is N exp(sigma a): the auxiliary measurement varies, N_D does not follow it."""
    plan, known = (plan_toys(4000, 400.0, 10, 1000, "redrawn", 0, None, sigma=s) for s in (0.1, 0.0))
    thrown = np.log(plan.expected / 400.0)
    assert abs(thrown.mean()) < 5 * 0.1 / np.sqrt(4000)
    assert thrown.std() == pytest.approx(0.1, rel=5 / np.sqrt(2 * 4000))
    assert (known.expected == 400.0).all()
    np.testing.assert_array_equal(plan.n_data, known.n_data)
    assert abs(np.corrcoef(thrown, plan.n_data)[0, 1]) < 5 / np.sqrt(4000)
    np.testing.assert_array_equal(plan.draw(3), known.draw(3))
