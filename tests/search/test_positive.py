"""Negative weights spread over their neighbours: nothing negative is left and nothing moves far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.search.problems import Floats
from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    ShapeError,
    WeightError,
)
from unseen.search.positive import positive_weights

SMOOTH: dict[str, Callable[[Floats], Floats]] = {
    "x": lambda x: x[:, 0],
    "square": lambda x: (x**2).sum(axis=1),
    "product": lambda x: x[:, 0] * x[:, 1],
    "wave": lambda x: np.cos(x[:, 0] + 2 * x[:, 1]),
    "bump": lambda x: np.exp(-((x - 0.5) ** 2).sum(axis=1)),
}


def signed_sample(n: int, fraction: float, seed: int = 0, d: int = 2) -> tuple[Floats, Floats]:
    """Return Gaussian events whose signs do not depend on x, as subtraction events would have it."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), np.where(rng.random(n) < fraction, -1.0, 1.0)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.45])
@pytest.mark.parametrize("d", [1, 2, 6])
def test_nothing_negative_is_left_and_the_total_stays(fraction: float, d: int) -> None:
    x, w = signed_sample(3000, fraction, d=d)
    w *= np.random.default_rng(1).gamma(2.0, size=len(w))
    w[np.argmax(w)] += max(0.0, 1.0 - w.sum())  # a total above zero
    before = w.copy()
    new, radius = positive_weights(x, w)
    assert (new >= 0).all()
    assert abs(new.sum() - w.sum()) <= 1e-12 * np.abs(w).sum()
    assert radius > 0
    np.testing.assert_array_equal(w, before)


def test_the_total_is_kept_to_rounding() -> None:
    x, w = signed_sample(20_000, 0.2)
    w *= np.random.default_rng(1).gamma(2.0, size=len(w))
    assert positive_weights(x, w)[0].sum() == pytest.approx(w.sum(), rel=1e-12)


def test_one_cell_by_hand() -> None:
    new, radius = positive_weights([[0.0], [1.0], [1.5], [3.0], [9.0]], [2.0, -3.0, 1.0, 2.5, -0.0])
    # the cell of event 1 takes events 2 and 0 in, until 1 + 2 - 3 = 0
    np.testing.assert_array_equal(new, [0.0, 0.0, 0.0, 2.5, 0.0])
    assert radius == 1.0
    new, radius = positive_weights([0.0, 1.0, 1.5], [1.0, -1.0, 3.0])
    np.testing.assert_allclose(new, [1.0, 0.5, 1.5], rtol=1e-15)
    assert radius == 0.5


def test_the_most_negative_comes_first_and_may_settle_others() -> None:
    new, radius = positive_weights([0.0, 1.0, 2.0, 2.9], [-1.0, -4.0, 1.0, 8.0])
    # event 1 takes in 0 and 2 at distance 1, then 3: one cell of total 4; event 0 has no turn of its own
    np.testing.assert_allclose(new, np.array([1.0, 4.0, 1.0, 8.0]) * 4 / 14, rtol=1e-15)
    assert radius == pytest.approx(1.9)


def test_events_far_from_negative_ones_keep_their_weights() -> None:
    x, w = signed_sample(4000, 0.0)
    w *= np.random.default_rng(2).gamma(2.0, size=len(w))
    near = np.linalg.norm(x - [1.0, 0.0], axis=1) < 0.5
    w[np.flatnonzero(near)[::5]] *= -1.0
    new, radius = positive_weights(x, w)
    to_negative = np.linalg.norm(x[:, None] - x[w < 0], axis=2).min(axis=1)
    far = to_negative > radius
    assert far.sum() > 1000
    np.testing.assert_array_equal(new[far], w[far])
    assert (new[~far] != w[~far]).any()


def test_positive_weights_are_left_alone() -> None:
    x, w = signed_sample(100, 0.0)
    new, radius = positive_weights(x, w)
    np.testing.assert_array_equal(new, w)
    assert radius == 0.0


@pytest.mark.parametrize("name", list(SMOOTH))
def test_means_of_smooth_functions_stay_within_their_statistics(name: str) -> None:
    x, w = signed_sample(20_000, 0.2, seed=3)
    f = SMOOTH[name](x)
    new, _ = positive_weights(x, w)
    error = np.sqrt((w**2 * (f - np.average(f, weights=w)) ** 2).sum())
    assert abs((new * f).sum() - (w * f).sum()) < 0.3 * error


def test_histograms_stay_within_their_statistics() -> None:
    x, w = signed_sample(20_000, 0.2, seed=4)
    new, _ = positive_weights(x, w)
    bins = np.linspace(-2.5, 2.5, 11)
    before, after = (np.histogram2d(*x.T, bins=[bins, bins], weights=v)[0] for v in (w, new))
    variance = np.histogram2d(*x.T, bins=[bins, bins], weights=w**2)[0]
    pull = (after - before) / np.sqrt(variance)
    assert np.sqrt((pull**2).mean()) < 0.3
    assert np.abs(pull).max() < 1.5


def test_it_is_deterministic_and_follows_the_order_of_the_events() -> None:
    x, w = signed_sample(2000, 0.3, seed=5)
    w *= np.random.default_rng(6).gamma(2.0, size=len(w))  # no ties
    new, radius = positive_weights(x, w)
    again, _ = positive_weights(x, w)
    np.testing.assert_array_equal(again, new)
    order = np.random.default_rng(7).permutation(len(w))
    shuffled, radius_shuffled = positive_weights(x[order], w[order])
    np.testing.assert_allclose(shuffled, new[order], rtol=1e-9, atol=1e-12)
    assert radius_shuffled == radius


def test_equal_events_share_a_cell_without_extent() -> None:
    x = np.zeros((100, 2))
    w = np.ones(100)
    w[60:] = -1.0
    new, radius = positive_weights(x, w)
    assert radius == 0.0
    assert (new >= 0).all()
    assert new.sum() == pytest.approx(20.0, rel=1e-12)


def test_a_cell_may_be_the_whole_sample() -> None:
    x, _ = signed_sample(200, 0.0)
    w = np.full(200, 1.0)
    w[17] = -198.5
    new, radius = positive_weights(x, w)
    assert radius == pytest.approx(np.linalg.norm(x - x[17], axis=1).max())
    np.testing.assert_allclose(new, np.abs(w) * 0.5 / np.abs(w).sum(), rtol=1e-12)


def test_cells_beyond_the_limit_are_named() -> None:
    x, w = np.array([0.0, 0.1, 5.0, 5.1, 20.0]), np.array([-1.0, 2.0, -2.0, 1.0, 9.0])
    with pytest.raises(NegativeWeightError, match=r"still have 2 negative values.*event 2.*max_distance = 1"):
        positive_weights(x, w, max_distance=1.0)
    new, radius = positive_weights(x, w, max_distance=20.0)
    assert (new >= 0).all()
    assert radius <= 20.0


def test_faults_are_named() -> None:
    with pytest.raises(NegativeWeightError, match="sum to -1 with 2 negative"):
        positive_weights([0.0, 1.0, 2.0], [-1.0, -1.0, 1.0])
    with pytest.raises(NegativeWeightError, match="sum to 0"):
        positive_weights([0.0, 1.0], [0.0, 0.0])
    with pytest.raises(WeightError, match=r"\(2,\).*\(3,\)"):
        positive_weights([0.0, 1.0, 2.0], [1.0, 1.0])
    with pytest.raises(NonFiniteError, match="weights"):
        positive_weights([0.0, 1.0], [1.0, np.nan])
    with pytest.raises(NonFiniteError, match="x has"):
        positive_weights([0.0, np.nan], [1.0, 1.0])
    with pytest.raises(NotEnoughEventsError):
        positive_weights(np.empty((0, 2)), [])
    with pytest.raises(ShapeError):
        positive_weights(np.ones((2, 2, 2)), [1.0, 1.0])
    with pytest.raises(ConfigError, match="max_distance"):
        positive_weights([0.0, 1.0], [1.0, 1.0], max_distance=0.0)


def test_a_hundred_thousand_events_are_no_trouble() -> None:
    x, w = signed_sample(100_000, 0.1)
    new, _ = positive_weights(x, w)
    assert (new >= 0).all()
    assert new.sum() == pytest.approx(w.sum(), rel=1e-12)
