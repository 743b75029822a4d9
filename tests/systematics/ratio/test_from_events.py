"""From events to samples: distorted before the selection, every passing event once, paired."""

from __future__ import annotations

import numpy as np
import pytest

from tests.systematics.build import events
from unseen.errors import NotEnoughEventsError, NuisanceError, NuisanceRangeError, ShapeError
from unseen.events import Events, select
from unseen.systematics import NuisanceSet, fit_kernel_ratio, moment_closure, propose, ratio_samples

NUISANCES = NuisanceSet.builtin().subset("muon-scale", "normalisation")


def embed(sample: Events) -> np.ndarray:
    """Two numbers that muons move: log of the leading muon's pt, and of the MET."""
    pt = sample.get("muons", "pt")[:, 0]
    return np.stack([np.log(np.maximum(pt, 1.0)), np.log(sample.get("met", "pt")[:, 0] + 1.0)], axis=1)


def test_events_are_distorted_then_selected_then_embedded() -> None:
    sample = events(800)
    nus = np.array([[1.0, 0.0], [0.0, 2.0], [-2.0, 1.0]])
    made = ratio_samples(sample, NUISANCES, embed, nus)
    nominal = select(sample)
    np.testing.assert_array_equal(made.z, embed(nominal))
    np.testing.assert_array_equal(made.weights, nominal.weight)
    for block, nu in zip(made.blocks, nus, strict=True):
        moved = select(NUISANCES.distort(sample, nu))
        np.testing.assert_array_equal(block.z, embed(moved))
        np.testing.assert_array_equal(block.weights, moved.weight)
    assert made.event is not None
    np.testing.assert_array_equal(sample.weight[made.event], made.weights)
    assert len(np.asarray(made.blocks[0].z)) > len(made.z)  # muons scaled up come in
    assert made.matched


def test_every_event_may_have_its_own_nu() -> None:
    sample = events(500)
    nu = np.random.default_rng(0).normal(size=(500, 2)).clip(-2, 2)
    made = ratio_samples(sample, NUISANCES, embed, [nu])
    block = made.blocks[0]
    np.testing.assert_allclose(block.nu, nu[np.asarray(block.event)])
    np.testing.assert_allclose(block.nominal_nu, nu[made.event])


def test_the_ratio_of_events_closes() -> None:
    sample = events(8000, seed=1)
    nus = propose(2, 8, np.random.default_rng(1), width=2.0)
    made = ratio_samples(sample, NUISANCES, embed, nus)
    train, held_out = made.split(0.5, np.random.default_rng(2))
    ratio = fit_kernel_ratio(train, NUISANCES.names, n_centers=100, rank=50)
    closure = moment_closure(ratio, held_out, n_data=300.0, rank=10)
    assert closure.passed, closure.summary()
    # 5 % per unit: the normalisation's coefficient is log(1.05) for every event
    assert ratio(made.z)[0][:, 1].mean() == pytest.approx(np.log(1.05), abs=0.002)


def test_progress_sees_every_block() -> None:
    seen = []

    def watch(numbers):  # type hints would hide how simple this is for a user
        for i in numbers:
            seen.append(i)
            yield i

    ratio_samples(events(50), NUISANCES, embed, [[1.0, 0.0], [0.0, 1.0]], progress=watch)
    assert seen == [0, 1]


def test_what_is_refused() -> None:
    sample = events(100)
    with pytest.raises(NotEnoughEventsError, match="no values of nu"):
        ratio_samples(sample, NUISANCES, embed, [])
    with pytest.raises(ShapeError, match=r"nus\[1\]"):
        ratio_samples(sample, NUISANCES, embed, [[1.0, 0.0], [1.0]])
    wide = NuisanceSet.parse([{"name": "muon-scale", "prior": {"width": 0.5}}])
    with pytest.raises(NuisanceError, match=r"'muon-scale' has a prior of mean 0 and width 0\.5"):
        ratio_samples(events(50), wide, embed, [[1.0]])
    with pytest.raises(NuisanceRangeError):
        ratio_samples(sample, NUISANCES, embed, [[9.0, 0.0]])
    with pytest.raises(ShapeError, match="embed gave"):
        ratio_samples(sample, NUISANCES, lambda e: embed(e)[:3], [[1.0, 0.0]])
    nothing = Events.create(sample.schema, sample.objects, np.zeros_like(sample.present))
    with pytest.raises(NotEnoughEventsError, match="passes the selection"):
        ratio_samples(nothing, NUISANCES, embed, [[1.0, 0.0]])
