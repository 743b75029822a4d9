"""Toys with nuisance parameters: rates follow r(x; nu), numbers of events too, and what cannot be drawn is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from tests.search.nuisances import SHIFT, STRETCH, Floats, both_delta
from unseen.errors import NonFiniteError, NotEnoughEventsError
from unseen.search.normalisation import Normalisation
from unseen.search.profile_nuisances import Nuisances
from unseen.search.profile_ratio import RatioCoefficients
from unseen.search.profile_toys import ProfilePlan, plan_profiled, true_values
from unseen.search.toys import plan_toys

X = np.random.default_rng(1).normal(size=(12_000, 1))


def plan_of(ratio: RatioCoefficients, reference: str = "redrawn", nu: tuple[float, ...] | None = None) -> ProfilePlan:
    nuisances = Nuisances.of(ratio, Normalisation(0.0))
    base = plan_toys(60, 300.0, 4000, 8000, reference, 7)
    source = np.ones(len(X))
    if reference == "fixed":
        source[:4000] = 0.0
    return plan_profiled(base, nuisances, source, nuisances.columns("x", ratio), nu, fixed_n=False)


@pytest.mark.parametrize("reference", ["redrawn", "fixed"])
def test_data_follow_the_rates_at_the_true_nu(reference: str) -> None:
    plan = plan_of(both_delta(X), reference, (2.0, -2.0))
    expected = 300 * np.exp(-2 * STRETCH)
    assert abs(plan.n_data.mean() - expected) < 4 * np.sqrt(expected / 60)
    values, last = [], 0
    for toy in range(60):
        rows, data = plan.rows(toy)
        assert len(np.intersect1d(rows, data)) == 0
        assert len(rows) == 4000
        assert len(data) == plan.n_data[toy]
        values.append(X[data, 0])
        last = max(last, int(data.min() < 4000))
    assert last == (reference == "redrawn")
    pooled = np.concatenate(values)
    source = X[4000:] if reference == "fixed" else X
    weights = np.exp(2 * SHIFT * source[:, 0])
    mean = np.average(source[:, 0], weights=weights)
    assert abs(pooled.mean() - mean) < 4 / np.sqrt(len(pooled))


def test_auxiliary_measurements_are_thrown_around_thrown_nu() -> None:
    nuisances = Nuisances.of(both_delta(X), Normalisation(float("inf")))
    nu, a = true_values(nuisances, 4000, 3, None)
    assert nu[:, :2].std() == pytest.approx(1.0, abs=0.05)
    assert (a - nu)[:, :2].std() == pytest.approx(1.0, abs=0.05)
    assert abs(np.corrcoef(nu[:, 0], (a - nu)[:, 0])[0, 1]) < 0.07
    assert (nu[:, 2] == 0).all()  # a free yield has neither prior nor measurement
    assert (a[:, 2] == 0).all()
    fixed, _ = true_values(nuisances, 5, 3, (1.0, -1.0))
    np.testing.assert_array_equal(fixed, np.tile([1.0, -1.0, 0.0], (5, 1)))


def test_a_toy_depends_on_seed_and_number_alone() -> None:
    first, second = plan_of(both_delta(X)), plan_of(both_delta(X))
    np.testing.assert_array_equal(first.draw(13), second.draw(13))
    assert not np.array_equal(first.draw(13), first.draw(14))


def test_one_event_of_a_large_rate_does_not_leave_the_others_out() -> None:
    linear = np.zeros((len(X), 1))
    linear[-1] = 1.5  # 4.5 times the rate of the others: without a cap these would be accepted 4.5 times less often
    plan = plan_of(RatioCoefficients(linear), nu=(1.0,))
    assert plan.cap[0] == 1.0  # loses (4.5 - 1) 300 / 12000 expected data events
    linear[-200:] = 3.0
    with pytest.raises(NotEnoughEventsError, match="enlarge the pool"):
        plan_of(RatioCoefficients(linear), nu=(1.5,))


def step(x: Floats) -> RatioCoefficients:
    """Many events share the largest rate."""
    return RatioCoefficients(np.where(x > 2.2, 1.2, 0.0))


def rate(x: Floats) -> RatioCoefficients:
    return RatioCoefficients(np.full_like(x, 0.3))


def advice(make: Callable[[Floats], RatioCoefficients], reference: str, n_pool: int, seed: int) -> tuple[int, str]:
    """Return the size of pool that is asked for where `n_pool` events are too few, and how; 0 where they are enough."""
    x = np.random.default_rng([seed, n_pool]).normal(size=(2000 + n_pool, 1))
    nuisances = Nuisances.of(make(x), Normalisation(0.0))
    source = np.ones(len(x))
    source[:2000] = reference == "redrawn"
    columns = nuisances.columns("x", make(x))
    try:
        plan_profiled(
            plan_toys(100, 300.0, 2000, n_pool, reference, 7), nuisances, source, columns, None, fixed_n=False
        )
    except NotEnoughEventsError as error:
        found = re.search(r"enlarge the pool to about (\d+) events(.*)", str(error))
        assert found is not None
        return int(found[1]), found[2]
    return 0, ""


@pytest.mark.parametrize(
    ("make", "reference", "n_pool"), [(step, "redrawn", 1500), (step, "fixed", 1500), (rate, "redrawn", 500)]
)
def test_a_pool_of_the_size_that_is_advised_is_enough_and_a_quarter_less_is_not(
    make: Callable[[Floats], RatioCoefficients], reference: str, n_pool: int
) -> None:
    enough, how = advice(make, reference, n_pool, 1)
    assert how == ""
    assert advice(make, reference, enough, 2) == (0, "")
    assert advice(make, reference, 3 * enough // 4, 3)[0] > 0


@pytest.mark.parametrize("slope", [0.2, 0.4])
def test_where_single_events_have_the_largest_rates_advice_is_a_bound_and_ends_soon(slope: float) -> None:
    """A larger pool reaches farther into the tail of r, here a lognormal distribution."""

    def shift(x: Floats) -> RatioCoefficients:
        return RatioCoefficients(slope * x, np.full((len(x), 1, 1), -(slope**2) / 2))

    n_pool, sizes = 500, []
    while (found := advice(shift, "redrawn", n_pool, len(sizes)))[0]:
        assert found[1] == " at least, since single events have the largest rates"
        assert found[0] > n_pool
        n_pool = found[0]
        sizes.append(n_pool)
    assert 1 <= len(sizes) <= 4


def test_an_assumed_expectation_is_told_where_profiled_toys_cannot_be_drawn() -> None:
    columns = Nuisances.of(step(X), Normalisation(0.0)).columns("x", step(X))
    arguments = Nuisances.of(step(X), Normalisation(0.0)), np.ones(len(X)), columns, (2.0,)
    for fixed in (False, True):
        with pytest.raises(NotEnoughEventsError) as told:
            plan_profiled(plan_toys(9, 5000.0, 4000, 8000, "redrawn", 7), *arguments, fixed_n=fixed, assumed=True)
        assert ("5000, was assumed" in str(told.value)) is not fixed


def test_rates_beyond_numbers_are_named() -> None:
    with pytest.raises(NonFiniteError, match="standard unit"):
        plan_of(RatioCoefficients(np.full((len(X), 1), 1e4)), nu=(1.0,))
    with pytest.raises(NonFiniteError, match="no sample holds them"):
        plan_of(RatioCoefficients(np.full((len(X), 1), 60.0)), nu=(1.0,))
