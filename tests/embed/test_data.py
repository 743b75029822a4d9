from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.embed.toy import toy_events
from unseen.embed.data import Batches, Table, epoch_order, loss_weights, split_by_source
from unseen.errors import NegativeWeightError, NotEnoughEventsError, WeightError
from unseen.events import Events
from unseen.seeds import generator


def table(events: Events) -> Table:
    rows = np.arange(len(events))
    return Table(events.objects, events.present, events.label, events.label[:, None], events.weight, rows)


TARGET = np.repeat([0, 1, 2], [900, 90, 10])


def test_a_natural_epoch_is_a_permutation() -> None:
    order = epoch_order(TARGET, "natural", 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))


@pytest.mark.parametrize(("power", "expected"), [(0.0, [333, 334, 333]), (1.0, [900, 90, 10])])
def test_a_balanced_epoch_repeats_rare_events_evenly(power: float, expected: list[int]) -> None:
    order = epoch_order(TARGET, "sampler", power, np.random.default_rng(0))
    assert len(order) == 1000
    np.testing.assert_allclose(np.bincount(TARGET[order]), expected, atol=1)
    times = np.bincount(order, minlength=1000)
    for c in range(3):
        assert np.ptp(times[c == TARGET]) <= 1


def test_the_order_depends_on_the_generator_only() -> None:
    torch.manual_seed(1)
    first = epoch_order(TARGET, "sampler", 0.0, generator(1, "order", 0))
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    again = epoch_order(TARGET, "sampler", 0.0, generator(1, "order", 0))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, epoch_order(TARGET, "sampler", 0.0, generator(1, "order", 1)))


@pytest.mark.parametrize(("n", "sizes"), [(10, [10]), (100, [100]), (250, [125, 125]), (149, [149]), (1, [1])])
def test_batches_are_nearly_equal_and_cover_everything(n: int, sizes: list[int]) -> None:
    events = toy_events(n, seed=1)
    batches = Batches(table(events), np.arange(n)[::-1], batch_size=100)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == len(sizes)
    rows = torch.cat([batch.instance for batch in batches])
    assert torch.equal(rows, torch.arange(n).flip(0))
    first = next(iter(batches))
    np.testing.assert_array_equal(first.objects[0].numpy(), events.objects[-1])
    np.testing.assert_array_equal(first.present[0].numpy(), events.present[-1])


def test_balancing_weights_give_equal_shares(toy: Events) -> None:
    weight = np.random.default_rng(0).random(len(toy)) * (1 + toy.label)
    shares = np.bincount(toy.label, loss_weights(weight, toy.label, "weights", 0.0))
    np.testing.assert_allclose(shares, len(toy) / 3)
    shares = np.bincount(toy.label, loss_weights(weight, toy.label, "sampler", 0.0))
    np.testing.assert_allclose(shares, np.bincount(toy.label))
    natural = loss_weights(weight, toy.label, "natural", 0.0)
    np.testing.assert_allclose(natural, weight / weight.mean())


def test_unusable_weights_are_named(toy: Events) -> None:
    with pytest.raises(NegativeWeightError, match="1 training events"):
        loss_weights(np.where(np.arange(len(toy)) == 3, -1.0, 1.0), toy.label, "natural", 0.0)
    with pytest.raises(WeightError, match="class 2 has zero total weight"):
        loss_weights(np.where(toy.label == 1, 0.0, 1.0), 2 * toy.label, "sampler", 0.0)


def test_copies_never_straddle_the_validation_split() -> None:
    events = toy_events(400, seed=2, copies=4)
    fit, held = split_by_source(events, 0.2, seed=1)
    source = events.record["source"]
    assert len(held) == 80
    assert not set(source[fit]) & set(source[held])
    np.testing.assert_array_equal(np.sort(np.concatenate([fit, held])), np.arange(400))


def test_without_a_source_rows_are_split(toy: Events) -> None:
    fit, held = split_by_source(replace(toy, record={}), 0.1, seed=1)
    assert (len(fit), len(held)) == (540, 60)
    assert len(split_by_source(toy, 0.0, seed=1)[1]) == 0
    with pytest.raises(NotEnoughEventsError, match="validation_fraction"):
        split_by_source(toy[:2], 0.1, seed=1)
