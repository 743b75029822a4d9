"""Every measure against a value that is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hyp0f1

from tests.embed.probes.clouds import clouds
from unseen.embed.probes import (
    alignment,
    class_alignment,
    directions,
    effective_rank,
    fisher_ratio,
    silhouette,
    standardised,
    uniformity,
)
from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError, WeightError

N = 6000


def normal(d: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(d).normal(size=(n, d))


@pytest.mark.parametrize("d", [1, 2, 4, 8])
def test_uniformity_on_the_sphere_and_of_a_normal_distribution(d: int) -> None:
    """Within 0.03: 3000 events know the mean over pairs to about 1 / sqrt(3000) of itself."""
    sphere = -4 + np.log(hyp0f1(d / 2, 4.0))
    assert uniformity(directions(normal(d))) == pytest.approx(sphere, abs=0.03)
    assert uniformity(standardised(normal(d))) == pytest.approx(-d / 2 * np.log(1 + 8 / d), abs=0.03)


def test_uniformity_of_few_points_is_the_mean_over_their_pairs() -> None:
    z = np.array([[0.0], [1.0], [3.0]])
    assert uniformity(z, t=0.5) == pytest.approx(np.log(np.mean(np.exp([-0.5, -2.0, -4.5]))))
    weighted = uniformity(z, weight=[1.0, 1.0, 2.0], t=0.5)
    assert weighted == pytest.approx(np.log((np.exp(-0.5) + 2 * np.exp(-2.0) + 2 * np.exp(-4.5)) / 5))
    assert uniformity(np.ones((50, 3))) == pytest.approx(0.0)
    assert uniformity(normal(2), seed=3) == uniformity(normal(2), seed=3) != uniformity(normal(2), seed=4)


def test_alignment_of_pairs() -> None:
    a = directions(normal(4))
    assert alignment(a, a) == 0.0
    assert alignment(a, -a) == pytest.approx(4.0)
    assert alignment(a, a[::-1]) == pytest.approx(2.0, abs=0.05)
    with pytest.raises(ShapeError, match="pairs"):
        alignment(a, a[:-1])


def test_class_alignment_is_the_mean_over_all_pairs_of_a_class() -> None:
    rng = np.random.default_rng(0)
    z, target, weight = rng.normal(size=(30, 3)), np.repeat([0, 1], [10, 20]), rng.exponential(size=30)
    distance = ((z[:, None] - z) ** 2).sum(axis=2)
    expected = 0.0
    for code in (0, 1):
        mine = target == code
        pairs = np.outer(weight[mine], weight[mine]) * (1 - np.eye(mine.sum()))
        expected += weight[mine].sum() / weight.sum() * (pairs * distance[mine][:, mine]).sum() / pairs.sum()
    assert class_alignment(z, target, weight) == pytest.approx(expected)
    assert class_alignment(normal(4), np.zeros(N)) == pytest.approx(8.0, rel=0.03)
    assert class_alignment(np.repeat(z[:2], 5, axis=0), np.repeat([0, 1], 5)) == pytest.approx(0.0)
    with pytest.raises(NotEnoughEventsError, match="pairs"):
        class_alignment(z[:2], [0, 1])


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(normal(5)) == pytest.approx(5.0, abs=0.02)
    line = normal(1) * [1.0, -2.0, 0.5]
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-6)
    assert effective_rank(np.ones((9, 3))) == 0.0
    p = np.array([2.0, 1.0, 1.0]) / 4
    assert effective_rank(normal(3) * [2.0, 1.0, 1.0]) == pytest.approx(np.exp(-(p * np.log(p)).sum()), abs=0.03)
    rotation = np.linalg.qr(normal(3, 3))[0]
    z = normal(3) * [2.0, 1.0, 0.1]
    assert effective_rank(z @ rotation + 7.0) == pytest.approx(effective_rank(z))


def test_effective_rank_with_whole_weights_is_that_of_copies() -> None:
    z, weight = normal(3, 40) * [1.0, 2.0, 3.0], 1 + np.arange(40) % 3
    assert effective_rank(z, weight) == pytest.approx(effective_rank(np.repeat(z, weight, axis=0)))


def test_fisher_ratio_of_normal_clouds() -> None:
    """Corners at distance s from the origin in three dimensions, equal shares: tr S_B = 2 s^2 / 3."""
    z, target = clouds(2.0, (N, N, N))
    assert fisher_ratio(z, target) == pytest.approx(8 / 3, rel=0.05)
    assert fisher_ratio(z @ np.diag([1e3, 1.0, 1e-3]) + 5.0, target) == pytest.approx(fisher_ratio(z, target))
    assert fisher_ratio(np.column_stack([z, np.ones(len(z))]), target) == pytest.approx(fisher_ratio(z, target))
    # Two of the clouds with shares p and 1 - p: p (1 - p) |m_1 - m_2|^2.
    weight = np.where(target == 0, 1.0, np.where(target == 1, 3.0, 0.0))
    assert fisher_ratio(z, target, weight) == pytest.approx(0.1875 * 8.0, rel=0.08)
    with pytest.raises(NotEnoughEventsError, match="two classes"):
        fisher_ratio(z, np.zeros(len(z)))


def test_silhouette_of_far_and_equal_clouds() -> None:
    assert silhouette(*clouds(200.0)) > 0.98
    assert silhouette(*clouds(0.0)) == pytest.approx(0.0, abs=0.02)
    two = np.array([[0.0], [1.0], [10.0], [11.0]])
    # a = 1; b = 10.5 for the outer points, 9.5 for the inner ones.
    assert silhouette(two, [0, 0, 1, 1]) == pytest.approx(((9.5 / 10.5) + (8.5 / 9.5)) / 2)
    with pytest.raises(NotEnoughEventsError, match="two classes"):
        silhouette(two, [0, 0, 0, 1])


def test_standardised_columns_and_directions() -> None:
    z = standardised(normal(4) * [1.0, 5.0, 0.1, 0.0] + 0.1)
    np.testing.assert_allclose(z.var(axis=0), [0.25, 0.25, 0.25, 0.0])
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(directions(normal(3)), axis=1), 1.0)
    with pytest.raises(NonFiniteError, match="event 1"):
        directions([[1.0, 0.0], [0.0, 0.0]])


def test_unusable_input_is_named() -> None:
    with pytest.raises(ShapeError):
        effective_rank(np.ones(5))
    with pytest.raises(NotEnoughEventsError):
        uniformity(np.ones((1, 2)))
    with pytest.raises(NonFiniteError):
        class_alignment(np.full((4, 2), np.nan), np.zeros(4))
    with pytest.raises(WeightError):
        fisher_ratio(np.ones((4, 2)), [0, 0, 1, 1], [1.0, 1.0, np.inf, 1.0])
