"""Pools of weighted events: toys have the weighted distribution, whatever the weights' unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.search.problems import Floats, small_test
from unseen import errors
from unseen.search import KernelTest
from unseen.search.simulation import Simulation, simulation_of

N = 60.0


def weighted(rng: np.random.Generator, n: int, slope: float = 1.0) -> tuple[Floats, Floats]:
    """Return events of a unit Gaussian and weights that move its mean by `slope`."""
    x = rng.normal(size=(n, 1))
    return x, np.exp(slope * x[:, 0] - 0.5 * slope**2)


def simulated(reference: str, *, weighted_reference: bool = True, scale: float = 1.0) -> Simulation:
    rng = np.random.default_rng(1)
    (x, w), (pool, pool_w), settings = weighted(rng, 400, 0.6), weighted(rng, 3000, 0.6), rng.normal(size=(40, 1))
    test = small_test(n_centers=30, standardise=False)
    test.fit(x, w if weighted_reference else None, expected=N, settings=settings)
    return simulation_of(test._need_fit(), pool, scale * pool_w, reference)


def mean_and_error(x: Floats, w: Floats) -> tuple[float, float]:
    """Return the weighted mean, and the standard deviation of one event of the weighted distribution."""
    mean = np.average(x, weights=w)
    return float(mean), float(np.sqrt(np.average((x - mean) ** 2, weights=w)))


@pytest.mark.parametrize("reference", ["fixed", "redrawn"])
@pytest.mark.parametrize("power", [1, 2])
def test_the_data_of_toys_have_the_weighted_distribution(reference: str, power: int) -> None:
    """Moments of 200 toys. Few of the union's events are drawn each time: its own fluctuation hardly matters."""
    simulation, toys = simulated(reference), 200
    fitted = simulation.fitted
    x = np.concatenate([fitted.z, simulation.pool])[:, 0] ** power
    own = slice(len(fitted.z) if reference == "fixed" else 0, None)
    mean, spread = mean_and_error(x[own], simulation.source[own])
    plan = simulation.plan(toys, 3, None)
    drawn = np.concatenate([x[plan.rows(toy)[1]] for toy in range(toys)])
    assert len(drawn) == plan.n_data.sum()
    assert abs(drawn.mean() - mean) < 4 * spread / np.sqrt(len(drawn))
    assert abs(drawn.mean() - x[own].mean()) > 10 * spread / np.sqrt(len(drawn))  # not that without weights


def test_the_references_of_redrawn_toys_have_it_too() -> None:
    simulation, toys = simulated("redrawn"), 200
    x = np.concatenate([simulation.fitted.z, simulation.pool])[:, 0]
    mean, spread = mean_and_error(x, simulation.weights)
    plan = simulation.plan(toys, 3, None)
    means = [np.average(x[rows], weights=simulation.weights[rows]) for rows, _ in map(plan.rows, range(toys))]
    assert abs(np.mean(means) - mean) < 4 * np.std(means) / np.sqrt(toys)
    assert np.std(means) < 3 * spread / np.sqrt(len(simulation.fitted.z))


@pytest.mark.parametrize("reference", ["fixed", "redrawn"])
def test_the_unit_of_the_weights_does_not_matter(reference: str) -> None:
    one, other = (simulated(reference, scale=scale) for scale in (1.0, 1024.0))
    np.testing.assert_array_equal(one.weights, other.weights)
    for toy in range(5):
        np.testing.assert_array_equal(one.plan(10, 3, None).draw(toy), other.plan(10, 3, None).draw(toy))


def test_events_of_no_weight_play_no_data() -> None:
    rng = np.random.default_rng(2)
    test = small_test(n_centers=20).fit(rng.normal(size=(300, 1)), expected=N, settings=rng.normal(size=(40, 1)))
    weights = (rng.random(3000) > 0.5).astype(float)
    pool = rng.normal(size=(3000, 1))
    for reference in ("fixed", "redrawn"):
        plan = simulation_of(test._need_fit(), pool, weights, reference).plan(20, 1, None)
        for toy in range(20):
            data = plan.rows(toy)[1]
            assert (weights[data[data >= 300] - 300] > 0).all()


def test_equal_weights_are_no_weights() -> None:
    rng = np.random.default_rng(3)
    reference, pool = rng.normal(size=(400, 1)), rng.normal(size=(600, 1))
    test = small_test(n_centers=20).fit(reference, expected=N)
    nulls = [test.calibrate(pool, n_toys=12, weights=w) for w in (None, np.full(600, 0.25))]
    np.testing.assert_array_equal(nulls[0].t, nulls[1].t)
    assert nulls[0].n_pool == nulls[1].n_pool == 600


@pytest.mark.parametrize("reference", ["fixed", "redrawn"])
def test_p_is_uniform_for_weighted_reference_and_pool(reference: str) -> None:
    """60 null data sets, unweighted as data are, each with a reference, a pool and 19 toys of its own."""
    rng, ranks = np.random.default_rng(4), []
    for seed in range(60):
        (x, w), (pool, pool_w) = weighted(rng, 400, 0.5), weighted(rng, 3000, 0.5)
        test = KernelTest(0.5, 15, penalty=1e-4).fit(x, w, expected=N)
        null = test.calibrate(pool, "toys", n_toys=19, seed=seed, weights=pool_w, reference=reference)
        assert null.reference == reference
        data = rng.normal(0.5, 1.0, (max(1, rng.poisson(N)), 1))
        ranks.append(round(20 * test.search(data).p_value))
    assert stats.chisquare(np.bincount((np.array(ranks) - 1) // 4, minlength=5)).pvalue > 1e-3
    assert np.mean(ranks) == pytest.approx(10.5, abs=3.3 * np.sqrt((20**2 - 1) / 12 / 60))


def test_bad_weights_of_a_pool_are_named() -> None:
    rng = np.random.default_rng(5)
    (x, w), (pool, pool_w) = weighted(rng, 400), weighted(rng, 2000)
    test = small_test(n_centers=20).fit(x, w, expected=N)
    with pytest.raises(errors.WeightError, match="weights of the pool"):
        test.calibrate(pool, weights=pool_w[:-1])
    with pytest.raises(errors.NegativeWeightError, match="weights of the pool"):
        test.calibrate(pool, weights=-pool_w)
    with pytest.raises(errors.WeightError, match="zero"):
        test.calibrate(pool, weights=np.zeros(2000))
    with pytest.raises(errors.ConfigError, match="weights of the pool"):
        test.calibrate(pool, reference="redrawn")
    peaked = np.where(np.arange(2000) == 0, 1e3, 1.0)
    with pytest.raises(errors.NotEnoughEventsError, match="of 2000 weighted ones"):
        test.calibrate(pool, weights=peaked)
