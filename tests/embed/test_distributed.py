"""Embedding on workers gives the numbers of embedding here, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.embed.toy import toy_events, toy_settings
from unseen.embed import Model, embed_on, train
from unseen.errors import NonFiniteError, SchemaError
from unseen.events import ADC2021, Events
from unseen.workers import Workers, workers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    settings = toy_settings(epochs=1, log_pt=False)
    return train(toy_events(300, seed=1), settings, tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture(scope="module", params=[(None, 1), ("local", 2)])
def pool(request: pytest.FixtureRequest) -> Iterator[Workers]:
    with workers(*request.param, serial=True) as opened:
        yield opened


def test_the_numbers_are_those_of_one_process_in_order(model: Model, pool: Workers) -> None:
    events = toy_events(5000, seed=2)
    told: list[tuple[int, int]] = []
    z = embed_on(pool, model, events, lambda done, total: told.append((done, total)), events_per_job=1024)
    np.testing.assert_array_equal(z, model.embed(events))
    assert (told[0], told[-1]) == ((0, 5000), (5000, 5000))
    np.testing.assert_array_equal(embed_on(pool, model, events[:70]), z[:70])
    assert embed_on(pool, model, events[:0]).shape == (0, 4)


def test_an_event_at_fault_is_named_by_its_row(model: Model, pool: Workers) -> None:
    events = toy_events(3000, seed=2)
    objects = events.objects.copy()
    objects[2500, 0, :] = np.finfo(np.float32).max
    with pytest.raises(NonFiniteError, match="event 2500"):
        embed_on(pool, model, events.replace_objects(objects, events.present), events_per_job=1024)
    empty = np.zeros((1, ADC2021.n_slots, 3))
    with pytest.raises(SchemaError):
        embed_on(pool, model, Events.create(ADC2021, empty, empty[..., 0] > 0))
