"""The learned ratio against closed forms. Bounds: errors of fits of these sizes, from other seeds, doubled."""

from __future__ import annotations

import numpy as np
import pytest

import unseen
from tests.systematics.ratio.build import GRID, shift_delta, shifted_gaussian
from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    NuisanceError,
    ShapeError,
    WeightError,
)
from unseen.systematics import Block, RatioSamples, fit_kernel_ratio, propose

RNG = np.random.default_rng(7)
Z1 = RNG.normal(size=(5000, 1))
Z2 = RNG.normal(size=(5000, 2))


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def test_a_shift_is_found() -> None:
    ratio = fit_kernel_ratio(shifted_gaussian(10_000), ["shift"], n_centers=150)
    linear, quadratic = ratio(Z1)
    expected, bend = shift_delta(Z1)
    assert _rms(linear - expected) < 0.15 * _rms(expected)
    assert abs(np.mean(quadratic) - np.mean(bend)) < 0.004  # E r = 1 at nu = 3 to one part in 30
    gains = ratio.report["penalties"]
    assert ratio.report["gain"] == max(gains.values())
    # A third of the events at 6 values, each worth (s nu)^2 / 4 to lowest order
    assert ratio.report["gain"] == pytest.approx(10_000 / 3 * sum((0.2 * nu) ** 2 / 4 for nu in GRID), rel=0.1)


def test_a_scale_is_quadratic() -> None:
    """N(0, 1) -> N(0, e^(s nu)): log r = s (z^2 - 1) nu - s^2 z^2 nu^2 + O(nu^3)."""
    s, z = 0.1, np.random.default_rng(1).normal(size=(20_000, 1))
    blocks = [Block([nu], z * np.exp(s * nu), None, np.arange(len(z))) for nu in (-2.0, -1.0, 1.0, 2.0)]
    ratio = fit_kernel_ratio(RatioSamples.of(z, blocks, ["scale"], event=np.arange(len(z))), ["scale"], n_centers=150)
    linear, quadratic = ratio(Z1)
    inside = np.abs(Z1[:, 0]) < 2
    assert _rms((linear - s * (Z1**2 - 1))[inside]) < 0.15 * _rms(s * (Z1**2 - 1)[inside])
    assert _rms((quadratic[:, 0] + s**2 * Z1**2)[inside]) < 0.02


def test_two_parameters_have_a_cross_term() -> None:
    """Two shifts along one axis: log r = s z (nu_1 + nu_2) - s^2 (nu_1 + nu_2)^2 / 2: delta_12 = -s^2 / 2."""
    s, z = 0.25, np.random.default_rng(2).normal(size=(10_000, 2))
    event = np.arange(len(z))
    nus = propose(2, 12, np.random.default_rng(3), width=2.0)
    blocks = [Block(nu, z + s * nu.sum() * np.array([1.0, 0.0]), None, event) for nu in nus]
    ratio = fit_kernel_ratio(RatioSamples.of(z, blocks, ["a", "b"], event=event), ["a", "b"], n_centers=150, rank=50)
    linear, quadratic = ratio(Z2)
    assert _rms(linear - s * Z2[:, :1]) < 0.2 * s
    np.testing.assert_allclose(quadratic.mean(axis=0), np.full((2, 2), -(s**2) / 2), atol=0.012)
    np.testing.assert_array_equal(quadratic, quadratic.transpose(0, 2, 1))


def test_a_threshold_changes_the_rate() -> None:
    """Exponential events above 1 whose scale moves by e^(s nu): n(z | nu) = e^(-s nu) exp(-z e^(-s nu)) for z > 1."""
    s, x = 0.1, np.random.default_rng(4).exponential(size=60_000)
    rows = np.flatnonzero(x > 1)
    blocks = []
    for nu in (-2.0, -1.0, 1.0, 2.0):
        moved = x * np.exp(s * nu)
        kept = np.flatnonzero(moved > 1)
        blocks.append(Block([nu], moved[kept, None], None, kept))
    ratio = fit_kernel_ratio(RatioSamples.of(x[rows, None], blocks, ["scale"], event=rows), ["scale"], n_centers=150)
    held_out = 1 + np.random.default_rng(5).exponential(size=(20_000, 1))
    for nu in (-2.0, 1.0, 2.0):
        # P(x e^(s nu) > 1) / P(x > 1), learned to the few events in 22,000 that enter or leave
        assert ratio.sample_check(held_out, [nu]).rate == pytest.approx(np.exp(1 - np.exp(-s * nu)), abs=0.015)
    z = np.linspace(1.1, 3.0, 20)[:, None]
    expected = -s + z[:, 0] * (1 - np.exp(-s))
    assert _rms(ratio.log_ratio(z, [1.0]) - expected) < 0.03


def test_every_event_at_its_own_nu() -> None:
    n, s = 20_000, 0.2
    rng = np.random.default_rng(6)
    z, nu, event = rng.normal(size=(n, 1)), rng.uniform(-3, 3, size=(n, 1)), np.arange(n)
    samples = RatioSamples.of(z, [Block(nu, z + s * nu, None, event, nominal_nu=nu)], ["shift"], event=event)
    ratio = fit_kernel_ratio(samples, ["shift"], n_centers=100)
    linear, _ = ratio(Z1)
    assert _rms(linear - s * Z1) < 0.2 * s
    assert ratio.limits.tolist() == [[nu.min(), nu.max()]]


def test_weights_count_as_events() -> None:
    """Half the events twice is the same as all of them with weights 1 and 2."""
    z = np.random.default_rng(8).normal(size=(150, 1))
    twice, w = np.concatenate([z, z[:75]]), np.where(np.arange(150) < 75, 2.0, 1.0)
    settings = {"penalty": 1e-3, "n_centers": 1000, "widths": (1.0,)}
    weighted = RatioSamples.of(z, [([1.0], z + 0.3, w), ([-1.0], z - 0.3, w)], ["a"], weights=w)
    first = fit_kernel_ratio(weighted, ["a"], **settings)
    second = fit_kernel_ratio((twice, [([1.0], twice + 0.3), ([-1.0], twice - 0.3)]), ["a"], **settings)
    # all events are centres, the same ones; the fits stop within a hundredth of an event of the minimum
    np.testing.assert_allclose(first(z)[0], second(z)[0], atol=0.02)
    plain = fit_kernel_ratio((z, [([1.0], z + 0.3), ([-1.0], z - 0.3)]), ["a"], **settings)
    assert np.abs(first(z)[0] - plain(z)[0]).max() > 0.02


def test_equal_seeds_give_equal_bits_and_memory_does_not_matter() -> None:
    samples = shifted_gaussian(2000)
    first = fit_kernel_ratio(samples, ["shift"], n_centers=60, seed=3)
    again = fit_kernel_ratio(samples, ["shift"], n_centers=60, seed=3)
    np.testing.assert_array_equal(first(Z1)[0], again(Z1)[0])
    other = fit_kernel_ratio(samples, ["shift"], n_centers=60, seed=4)
    assert not np.array_equal(first(Z1)[0], other(Z1)[0])
    lean = fit_kernel_ratio(samples, ["shift"], n_centers=60, seed=3, memory_budget=0)
    np.testing.assert_array_equal(first(Z1)[0], lean(Z1)[0])


def test_matched_events_are_split_together() -> None:
    samples = shifted_gaussian(500)
    train, held_out = samples.split(0.3, np.random.default_rng(0))
    assert samples.event is not None
    assert train.event is not None
    assert held_out.event is not None
    assert not set(train.event) & set(held_out.event)
    assert len(train.z) + len(held_out.z) == 500
    for block in held_out.blocks:
        np.testing.assert_array_equal(block.event, held_out.event)
    loose = RatioSamples.of(samples.z, [([1.0], samples.z)], ["shift"])
    a, b = loose.split(0.3, np.random.default_rng(0))
    assert len(np.asarray(a.blocks[0].z)) + len(np.asarray(b.blocks[0].z)) == 500
    with pytest.raises(ConfigError, match="share"):
        loose.split(1.0, np.random.default_rng(0))


def test_nu_that_determine_nothing_are_refused() -> None:
    z = np.random.default_rng(0).normal(size=(100, 1))

    def fit(*nus: list[float]) -> None:
        fit_kernel_ratio((z, [(nu, z) for nu in nus]), ["a", "b"][: len(nus[0])])

    with pytest.raises(NuisanceError, match="nu of a is 0 in every block"):
        fit([0.0])
    with pytest.raises(NuisanceError, match="cannot tell apart the terms in a, a a: add blocks"):
        fit([1.0], [1.0])
    with pytest.raises(NuisanceError, match="terms in a b"):
        fit([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0])


def test_what_is_refused() -> None:
    z = np.random.default_rng(0).normal(size=(100, 1))
    pair = [([1.0], z), ([-1.0], z)]
    with pytest.raises(NotEnoughEventsError, match="no events at nu"):
        fit_kernel_ratio((z, []), ["a"])
    with pytest.raises(NotEnoughEventsError, match="block 0 has no events"):
        fit_kernel_ratio((z, [([1.0], z[:0])]), ["a"])
    with pytest.raises(NotEnoughEventsError, match="the nominal sample has no events"):
        fit_kernel_ratio((z[:0], pair), ["a"])
    with pytest.raises(NotEnoughEventsError, match="centres are the same"):
        fit_kernel_ratio((np.ones((50, 1)), [([1.0], np.ones((50, 1))), ([-1.0], np.ones((50, 1)))]), ["a"])
    with pytest.raises(NonFiniteError, match="block 1: 1 events"):
        fit_kernel_ratio((z, [([1.0], z), ([-1.0], np.where(np.arange(100)[:, None] == 3, np.nan, z))]), ["a"])
    with pytest.raises(ShapeError, match="block 0 has 2 features, the nominal sample has 1"):
        fit_kernel_ratio((z, [([1.0], np.hstack([z, z]))]), ["a"])
    with pytest.raises(ShapeError, match="give nominal_nu"):
        fit_kernel_ratio((z, [(np.ones((100, 1)), z)]), ["a"])
    with pytest.raises(ShapeError, match="nu has shape"):
        fit_kernel_ratio((z, [([1.0, 2.0], z)]), ["a"])
    with pytest.raises(NegativeWeightError):
        fit_kernel_ratio((z, [([1.0], z, -np.ones(100))]), ["a"])
    with pytest.raises(WeightError, match="all weights are zero"):
        fit_kernel_ratio((z, [([1.0], z, np.zeros(100))]), ["a"])
    with pytest.raises(ShapeError, match="whole numbers"):
        RatioSamples.of(z, pair, ["a"], event=np.zeros(100))
    for settings in ({"penalty": 0.0}, {"penalty": "least"}, {"n_centers": 0}, {"widths": ()}, {"widths": (-1.0,)}):
        with pytest.raises(ConfigError):
            fit_kernel_ratio((z, pair), ["a"], **settings)
    with pytest.raises(NotEnoughEventsError, match="hold some out"):
        fit_kernel_ratio((z[:1], pair), ["a"])


def test_proposals_determine_every_term() -> None:
    for k, n in ((1, 2), (1, 8), (2, 5), (3, 9), (7, 35), (7, 60)):
        nus = propose(k, n, np.random.default_rng(0), width=2.0)
        assert nus.shape == (n, k)
        assert np.abs(nus).max() == 2.0
        z = np.random.default_rng(1).normal(size=(30, 1))
        fit_kernel_ratio((z, [(nu, z) for nu in nus]), [f"nu{i}" for i in range(k)], penalty=1.0, n_centers=5, rank=2)
    with pytest.raises(ConfigError, match="35 terms"):
        propose(7, 34, np.random.default_rng(0))
    with pytest.raises(ConfigError):
        propose(1, 4, np.random.default_rng(0), width=0.0)


def test_the_package_exports_it() -> None:
    assert unseen.fit_kernel_ratio is fit_kernel_ratio
    assert unseen.DensityRatio.__module__ == "unseen.systematics.ratio.density_ratio"
