"""What every rival promises, whatever it computes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rivals.problems import SHIFT, SMALL, draw_codes
from unseen.errors import (
    NonFiniteError,
    NotEnoughEventsError,
    NotFittedError,
    OverlapError,
    ShapeError,
    UnknownNameError,
)
from unseen.rivals import RIVALS, Rival, choose
from unseen.search import Null, SearchResult

N_R, N_D, UNION = 200, 60, 600
# float32 matrix products and trees sum in an order that depends on sizes; a network's training amplifies rounding
TOLERANCE = {"mmd": 1e-4, "energy": 1e-4, "nplm_nn": 1e-2}


@pytest.fixture(scope="module", params=SMALL)
def trained(request: pytest.FixtureRequest) -> Rival:
    rng = np.random.default_rng(0)
    return SMALL[request.param]().train(rng.normal(size=(400, 2)), rng)


def union(seed: int = 1) -> np.ndarray:
    """Return background and, last, 60 signal events."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(UNION, 2)), rng.normal(SHIFT, 1.0, size=(60, 2))])


def null_codes(n_toys: int, seed: int = 2) -> np.ndarray:
    codes = draw_codes(np.random.default_rng(seed), UNION, N_R, N_D, n_toys)
    return np.concatenate([codes, np.zeros((n_toys, 60), dtype=np.int8)], axis=1)


def test_a_strong_signal_is_above_all_null_toys(trained: Rival) -> None:
    codes = null_codes(16)
    codes[-1, UNION:] = -1
    trained.attach(union())
    t = trained.evaluate(codes, np.full(16, float(N_D)), list(range(16)))
    assert t.shape == (16, len(trained.columns))
    assert np.isfinite(t).all()
    assert (t[-1] > t[:-1].max(axis=0)).all()


def test_a_toy_does_not_depend_on_its_batch(trained: Rival) -> None:
    codes, expected = null_codes(5), np.linspace(50.0, 70.0, 5)
    codes[3, :100] = 0  # toys need not have equal sizes
    trained.attach(union())
    together = trained.evaluate(codes, expected, [5, 6, 7, 8, 9])
    alone = [trained.evaluate(codes[[i]], expected[[i]], [5 + i])[0] for i in range(5)]
    np.testing.assert_allclose(together, alone, rtol=TOLERANCE.get(trained.name, 1e-9), atol=1e-4)


def test_the_order_of_events_does_not_matter(trained: Rival) -> None:
    x, codes, expected = union(), null_codes(3), np.full(3, float(N_D))
    trained.attach(x)
    before = trained.evaluate(codes, expected, [1, 2, 3])
    order = np.random.default_rng(3).permutation(len(x))
    trained.attach(x[order])
    after = trained.evaluate(codes[:, order], expected, [1, 2, 3])
    np.testing.assert_allclose(before, after, rtol=TOLERANCE.get(trained.name, 1e-6), atol=1e-4)


def test_evaluate_refuses_what_it_cannot_use(trained: Rival) -> None:
    trained.attach(union())
    codes, expected = null_codes(2), np.full(2, 60.0)
    with pytest.raises(ShapeError, match="codes"):
        trained.evaluate(codes[:, 1:], expected, [1, 2])
    with pytest.raises(ShapeError, match="one each"):
        trained.evaluate(codes, expected, [1])
    with pytest.raises(ShapeError, match="above zero"):
        trained.evaluate(codes, np.array([60.0, 0.0]), [1, 2])
    with pytest.raises(NotEnoughEventsError, match="0 data events"):
        trained.evaluate(np.abs(codes), expected, [1, 2])


def test_an_expectation_that_was_assumed_is_told_where_it_does_not_fit() -> None:
    x = np.random.default_rng(4).normal(size=(600, 2))
    rival = SMALL["mahalanobis"]().fit(x[:300], settings=x[300:400])
    with pytest.raises(NotEnoughEventsError, match=r"was not given.* 300, was assumed"):
        rival.calibrate(x[400:], n_toys=20)


@pytest.mark.parametrize("name", SMALL)
def test_unusable_events_have_named_errors(name: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 2))
    broken = x.copy()
    broken[7, 1] = np.nan
    rival = SMALL[name]()
    with pytest.raises(NotFittedError):
        rival.attach(x)
    with pytest.raises(NonFiniteError):
        rival.train(broken, rng)
    if name != "ceiling":  # it trains on nothing
        with pytest.raises(NotEnoughEventsError):
            rival.train(x[:5], rng)
    rival.train(x, rng)
    with pytest.raises(NotFittedError):
        rival.evaluate(null_codes(1), np.ones(1), [1])
    with pytest.raises(ShapeError):
        rival.attach(np.ones((50, 3)))
    with pytest.raises(NonFiniteError):
        rival.attach(broken)


@pytest.mark.parametrize("name", SMALL)
def test_search_in_the_words_of_the_kernel_test(name: str) -> None:
    rng = np.random.default_rng(5)
    rival = SMALL[name]()
    pool, data = rng.normal(size=(500, 2)), np.concatenate([rng.normal(size=(50, 2)), rng.normal(SHIFT, 1, (30, 2))])
    with pytest.raises(NotFittedError):
        rival.calibrate(pool)
    reference = rng.normal(size=(300, 2))
    rival.fit(reference, expected=60, settings=rng.normal(size=(300, 2)))
    with pytest.raises(NotFittedError):
        rival.search(data)
    with pytest.raises(OverlapError):
        rival.calibrate(np.concatenate([pool, reference[:5]]))
    done: list[int] = []
    nulls = rival.calibrate(pool, n_toys=19, seed=3, progress=lambda k, total: done.append(k))
    assert done[-1] == 19
    assert all(isinstance(null, Null) and null.t.shape == (19, 1) for null in nulls.values())
    results = rival.search(data)
    assert tuple(results) == rival.columns
    for column, result in results.items():
        assert result.p_value == pytest.approx(0.05)
        assert result.statistic == column
        assert SearchResult.from_json(result.to_json()) == result
    with pytest.raises(OverlapError):
        rival.search(np.concatenate([data, pool[:5]]))


def test_equal_seeds_give_equal_nulls() -> None:
    rng = np.random.default_rng(6)
    reference, pool = rng.normal(size=(300, 2)), rng.normal(size=(500, 2))
    first, second = (SMALL["c2st"]().fit(reference, expected=40).calibrate(pool, 10, seed=2) for _ in range(2))
    np.testing.assert_array_equal(first["c2st_lr"].t, second["c2st_lr"].t)


def test_choose_knows_the_names() -> None:
    assert choose("knn").name == "knn"
    assert all(choose(name).name == name for name in RIVALS)
    with pytest.raises(UnknownNameError, match="did you mean 'energy'"):
        choose("enery")
