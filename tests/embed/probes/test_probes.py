"""What every probe must do, and what accuracies, their errors and mixtures mean."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.embed.probes.clouds import clouds
from unseen.embed.probes import PROBES, ProbeResult, probe, reweighted
from unseen.embed.probes.result import accuracy
from unseen.embed.probes.split import Part
from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    ShapeError,
    UnknownNameError,
    UnknownProcessError,
    UnseenError,
    WeightError,
)

SHARES = {"a": 0.2, "b": 0.75, "c": 0.05}


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_tells_separate_clouds_apart_and_noise_not(name: str) -> None:
    found = probe(name, *clouds(20.0), "abc")
    assert found.accuracy == found.balanced_accuracy == 1.0
    assert found.accuracy_error == 0.0
    assert found.auc == found.recall == {"a": 1.0, "b": 1.0, "c": 1.0}
    noise = probe(name, *clouds(0.0, (900, 900, 900)), "abc")
    assert noise.accuracy == pytest.approx(1 / 3, abs=4 * noise.accuracy_error)
    assert noise.balanced_accuracy == pytest.approx(1 / 3, abs=4 * noise.balanced_accuracy_error)
    assert sum(noise.n_test_by_class.values()) == noise.n_test == 810
    assert ProbeResult(**json.loads(json.dumps(noise.to_json()))) == noise


@pytest.mark.parametrize("name", PROBES)
def test_equal_seeds_give_equal_results_and_units_do_not_matter(name: str) -> None:
    z, target = clouds(1.5)
    first = probe(name, z, target, "abc", seed=1)
    assert probe(name, z, target, "abc", seed=1) == first
    assert probe(name, z, target, "abc", seed=2) != first
    scaled = probe(name, z * [1.0, 1e4, 1e-4] + [0.0, 5.0, 1.0], target, "abc", seed=1)
    assert scaled.accuracy == pytest.approx(first.accuracy, abs=0.01)


@pytest.mark.parametrize("name", PROBES)
def test_a_mixture_is_a_resampling_to_it(name: str) -> None:
    """Fit and score at the mixture agree with fresh events that have its composition."""
    weighted = probe(name, *clouds(1.5, (4000, 2000, 4000)), "abc", mixture=SHARES)
    counts = tuple(round(20_000 * share) for share in SHARES.values())
    drawn = probe(name, *clouds(1.5, counts, seed=1), "abc")
    for value, error in (("accuracy", "accuracy_error"), ("balanced_accuracy", "balanced_accuracy_error")):
        both = np.hypot(getattr(weighted, error), getattr(drawn, error))
        # Trees fitted on other numbers of events of a class differ by more than the scored events say.
        assert getattr(weighted, value) == pytest.approx(getattr(drawn, value), abs=4 * both + 0.01)
    for key, value in weighted.auc.items():
        assert value == pytest.approx(drawn.auc[key], abs=0.03)


def test_the_linear_accuracy_at_a_mixture_is_that_of_the_likelihood_ratio() -> None:
    """For equal normal clouds the best classifier is linear, so its accuracy, known by integration, is reached."""
    rng = np.random.default_rng(9)
    shares = np.array(list(SHARES.values()))
    truth = rng.choice(3, p=shares, size=400_000)
    z = rng.normal(size=(len(truth), 3)) + 1.5 * np.eye(3)[truth]
    best = float(np.mean((1.5 * z + np.log(shares)).argmax(axis=1) == truth))
    found = probe("linear", *clouds(1.5, (6000, 6000, 6000)), "abc", mixture=SHARES)
    assert found.accuracy == pytest.approx(best, abs=3.5 * found.accuracy_error)


def test_whole_weights_are_copies() -> None:
    """Weights of 1, 2, 3 fit and score as that many copies of the event, kept on one side."""
    z, target = clouds(1.0, (300, 300, 300))
    weight = 1 + np.arange(900) % 3
    rows = np.repeat(np.arange(900), weight)
    weighted = probe("linear", z, target, "abc", weight=weight, mixture=SHARES, groups=np.arange(900))
    copied = probe("linear", z[rows], target[rows], "abc", mixture=SHARES, groups=rows)
    assert weighted.accuracy == pytest.approx(copied.accuracy, abs=0.01)  # the penalty counts rows
    assert weighted.accuracy_error == pytest.approx(copied.accuracy_error, rel=0.05)
    assert weighted.auc["b"] == pytest.approx(copied.auc["b"], abs=1e-3)


def test_reweighting_gives_the_shares_exactly_and_keeps_ratios_within_a_class() -> None:
    weight, target = np.array([1.0, 3.0, 2.0, 2.0, 5.0]), np.array([0, 0, 1, 1, 2])
    new = reweighted(weight, target, np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(new, [0.625, 1.875, 1.25, 1.25, 0.0])
    with pytest.raises(NotEnoughEventsError, match="class 1"):
        reweighted(weight[:2], target[:2], np.array([0.5, 0.5]))


def part(y: np.ndarray, weight: np.ndarray, group: np.ndarray | None = None) -> Part:
    rows = np.arange(len(y))
    return Part(np.zeros((len(y), 1)), y, weight, rows if group is None else group)


def test_the_error_without_weights_is_binomial() -> None:
    right = np.arange(400) < 300
    value, error = accuracy(right, part(np.zeros(400, np.int64), np.ones(400)), None)
    assert (value, error) == (pytest.approx(0.75), pytest.approx(np.sqrt(0.75 * 0.25 / 400)))


def test_copies_of_an_event_do_not_make_the_error_smaller() -> None:
    right, y = np.arange(400) < 300, np.zeros(400, np.int64)
    rows = np.repeat(np.arange(400), 5)
    for shares in (None, np.array([1.0])):
        once = accuracy(right, part(y, np.ones(400)), shares)
        assert accuracy(right[rows], part(y[rows], np.ones(2000), rows), shares) == pytest.approx(once)


@pytest.mark.parametrize("shares", [None, np.array([0.9, 0.1])])
def test_the_error_is_the_spread_over_samples(shares: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(2000):
        y = (rng.random(300) < 0.5).astype(np.int64) if shares is None else np.repeat([0, 1], 150)
        right = rng.random(300) < np.array([0.9, 0.6])[y]
        value, error = accuracy(right, part(y, rng.exponential(size=300)), shares)
        values.append(value)
        errors.append(error)
    # 2000 samples know a spread to 1.6 %; the formula is right to order 1/n.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.06)


def test_trees_use_what_is_missing_and_the_others_refuse_it() -> None:
    z, target = clouds(0.0, (500, 500))
    z[target == 1, 0] = np.nan
    z[:, 2] = np.nan
    assert probe("trees", z, target, "ab").accuracy == 1.0
    with pytest.raises(NonFiniteError):
        probe("knn", z, target, "ab")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "liner"}, UnknownNameError, "did you mean 'linear'"),
        ({"target": np.full(1000, 3)}, ShapeError, "3 names"),
        ({"groups": np.arange(5)}, ShapeError, "groups"),
        ({"weight": np.zeros(1000)}, WeightError, "zero"),
        ({"weight": -np.ones(1000)}, NegativeWeightError, "negative"),
        ({"weight": np.ones(4)}, WeightError, "shape"),
        ({"mixture": {"a": 0.5, "d": 0.5}}, UnknownProcessError, "'d'"),
        ({"mixture": {"a": 1.0}}, ConfigError, "two processes"),
        ({"mixture": {"a": -1.0, "b": 1.0}}, ConfigError, "share of 'a'"),
        ({"test_fraction": 1.0}, ConfigError, "test_fraction"),
    ],
)
def test_unusable_input_is_named(changes: dict[str, Any], error: type[UnseenError], message: str) -> None:
    z, target = clouds(1.0)
    options: dict[str, Any] = {"name": "linear", "z": z, "target": target, "names": "abc"}
    with pytest.raises(error, match=message):
        probe(**(options | changes))


def test_classes_outside_the_mixture_are_left_out() -> None:
    z, target = clouds(1.0)
    with_c = probe("linear", z, target, "abc", mixture={"a": 0.5, "b": 0.5})
    without = probe("linear", z[target < 2], target[target < 2], "ab", mixture={"a": 0.5, "b": 0.5})
    assert with_c == without
    assert list(with_c.auc) == ["a", "b"]
