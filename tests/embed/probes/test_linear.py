from __future__ import annotations

import json

import numpy as np
import pytest

from tests.embed.probes.clouds import clouds
from unseen.embed import linear_probe
from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError


def test_separate_clouds_are_told_apart() -> None:
    result = linear_probe(*clouds(20.0), "abc")
    assert result.accuracy == result.balanced_accuracy == 1.0
    assert result.auc == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert (result.n_train, result.n_test) == (700, 300)
    assert json.loads(json.dumps(result.to_json()))["auc"]["a"] == 1.0


def test_noise_scores_as_chance() -> None:
    result = linear_probe(*clouds(0.0), "abc")
    assert result.accuracy == pytest.approx(0.6, abs=0.08)
    assert result.balanced_accuracy == pytest.approx(1 / 3, abs=0.1)
    assert all(abs(auc - 0.5) < 0.12 for auc in result.auc.values())


def test_equal_seeds_give_equal_results_and_scale_does_not_matter() -> None:
    z, target = clouds(1.0)
    first = linear_probe(z, target, "abc", seed=1)
    assert linear_probe(z, target, "abc", seed=1) == first
    assert linear_probe(z * [1.0, 1e4, 1e-4], target, "abc", seed=1).accuracy == pytest.approx(first.accuracy, abs=1e-3)


def test_a_constant_column_says_nothing_whatever_the_weights() -> None:
    z, target = clouds(1.0)
    weight = np.random.default_rng(2).exponential(size=len(z))
    beside = np.column_stack([z, np.ones(len(z)), np.full(len(z), -0.3)])
    plain = linear_probe(z, target, "abc", weight=weight)
    assert linear_probe(beside, target, "abc", weight=weight).accuracy == pytest.approx(plain.accuracy, abs=1e-3)


def test_copies_stay_on_one_side() -> None:
    """A random code per generated event is remembered by copies that straddle, and useless if they do not."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(40), 50)
    target = rng.integers(0, 2, 40)[group]
    z = np.eye(40)[group]
    assert linear_probe(z, target, "ab").accuracy == 1.0
    assert linear_probe(z, target, "ab", groups=group).accuracy < 0.9


def test_unusable_input_is_named() -> None:
    z, target = clouds(1.0)
    with pytest.raises(ShapeError):
        linear_probe(z, target[:-1], "abc")
    with pytest.raises(NonFiniteError):
        linear_probe(np.where(z > 2, np.nan, z), target, "abc")
    with pytest.raises(NotEnoughEventsError, match="two classes"):
        linear_probe(z, np.zeros(len(z)), "a")
    with pytest.raises(NotEnoughEventsError, match="'c' has too few"):
        linear_probe(z[:901], target[:901], "abc")
