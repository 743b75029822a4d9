"""Which rows are re-simulated partners, and what batches and views make of them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.embed.test_data import table
from tests.embed.toy import objective_settings, toy_batch, toy_events, toy_problem, toy_settings
from unseen.embed import TrainingConfig
from unseen.embed.data import Batch, Batches, Table, split_by_source
from unseen.embed.folds import fold_of
from unseen.embed.mapped import mapped_events
from unseen.embed.partners import Partners, partner_share, partners_among, require_source
from unseen.errors import ConfigError, NotEnoughEventsError, SchemaError, UnknownNameError
from unseen.events import Events, Sample

EVERY = np.arange(400)


@pytest.fixture(scope="module")
def twins() -> Events:
    """400 rows of 200 generated events."""
    return toy_events(400, seed=2, copies=2)


def sources(seed: int, n: int = 60) -> np.ndarray:
    """Rows in random order, of events with one to six of them."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(rng.permutation(n) * 7 - 50, rng.integers(1, 7, n)))


def with_partners(events: Events, number: int = 1) -> Table:
    every = np.arange(len(events))
    return table(events).of(every, partners_among(events, every, number))


@pytest.mark.parametrize("number", [1, 2, 4, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_partners_are_those_of_a_naive_loop(seed: int, number: int) -> None:
    source = sources(seed)
    able = np.random.default_rng(seed).random(len(source)) < 0.7
    rows = np.random.default_rng(seed + 9).integers(0, len(source), 300)
    for allowed in (np.ones(len(source), dtype=bool), able):
        partners = Partners.of(source, number, None if allowed.all() else allowed)
        drawn = partners.draw(rows, np.random.default_rng(3))
        assert drawn.shape == (300, number)
        assert len(partners) == len(source)
        first, count = partners.origin(rows), 0
        for i, row in enumerate(rows):
            family = np.flatnonzero((source == source[row]) & allowed) if allowed[row] else np.array([row])
            others = [other for other in family if other != row] or [row]
            assert first[i] == family[0]
            for start in range(0, number, len(others)):
                part = drawn[i, start : start + len(others)].tolist()
                assert len(set(part)) == len(part)
                assert set(part) <= set(others)
                count += 1
        assert count >= 300


def test_every_other_row_is_as_likely() -> None:
    partners = Partners.of(np.array([4, 9, 4, 4, 9, 4, 4]), 2)
    drawn = partners.draw(np.full(40_000, 3), np.random.default_rng(0))
    # Four others; 12 ordered pairs of them: within five deviations of a binomial count.
    pairs, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(pairs) == 12
    assert set(pairs.ravel()) == {0, 2, 5, 6}
    assert (abs(counts - 40_000 / 12) < 5 * np.sqrt(40_000 / 12 * 11 / 12)).all()


def test_equal_generators_draw_equal_partners_and_nothing_breaks_when_empty() -> None:
    source = sources(5)
    partners = Partners.of(source, 2)
    rows = np.arange(len(source))
    first, again, other = (partners.draw(rows, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    for part in (Partners.of(source[:0], 1), Partners.of(source, 1)):
        assert part.draw(rows[:0], np.random.default_rng(0)).shape == (0, 1)
    assert Partners.of(source[:0], 1).share == 0.0
    alone = Partners.of(source, 1, np.zeros(len(source), dtype=bool))
    np.testing.assert_array_equal(alone.draw(rows, np.random.default_rng(0))[:, 0], rows)
    assert alone.share == 0.0


def test_a_batch_carries_other_rows_of_its_events(twins: Events) -> None:
    order = np.random.default_rng(0).permutation(400)
    for batch in Batches(with_partners(twins), order, 130, seed=1):
        other = batch.instance.numpy() ^ 1
        np.testing.assert_array_equal(batch.partner_objects[:, 0], twins.objects[other])
        np.testing.assert_array_equal(batch.partner_present[:, 0], twins.present[other])
        np.testing.assert_array_equal(batch.origin, np.minimum(batch.instance.numpy(), other))
    plain = next(iter(Batches(table(twins), order, 130)))
    assert plain.partner_objects.shape == (len(plain), 0, 5, 3)
    assert plain.partner_present.shape == (len(plain), 0, 5)
    assert torch.equal(plain.origin, plain.instance)


def test_partners_depend_on_seed_and_number_of_the_batch_and_not_on_the_processes() -> None:
    events = toy_events(402, seed=3, copies=6)
    data = with_partners(events, 2)
    whole, again, other = (list(Batches(data, np.arange(402), 101, seed=seed)) for seed in (5, 5, 6))
    parts = [list(Batches(data, np.arange(402), 101, part, 2, seed=5)) for part in range(2)]
    for i, batch in enumerate(whole):
        assert torch.equal(batch.partner_objects, again[i].partner_objects)
        assert not torch.equal(batch.partner_objects, other[i].partner_objects)
        shared = torch.cat([part[i].partner_objects for part in parts])
        assert torch.equal(shared, batch.partner_objects[: len(shared)])
        assert len(batch) - len(shared) < 2


def test_partners_stay_on_their_side_of_a_split() -> None:
    events = toy_events(600, seed=2, copies=3)
    fold = fold_of(events, 3, 1, "source")
    rows = np.flatnonzero(fold != 1)
    fit, held = split_by_source(events, 0.2, 1, rows)
    for side in (fit, held):
        partners = partners_among(events, side, 2)
        assert partners is not None
        assert partners.share == 1.0
        drawn = side[partners.draw(np.arange(len(side)), np.random.default_rng(0))]
        assert np.isin(drawn, side).all()
        assert (events.record["source"][drawn] == events.record["source"][side][:, None]).all()
        assert (drawn != side[:, None]).all()


def test_the_first_view_is_the_event_and_the_others_are_its_partners(twins: Events) -> None:
    settings = toy_settings(views=["resimulate"], objective="ntxent")
    batch = with_partners(twins).batch(EVERY, EVERY[:, None] ^ 1)
    batch = replace(batch, weight=torch.arange(400.0))
    rows = settings.expansion(twins.schema)(batch, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(rows.objects[:400], twins.objects)
    np.testing.assert_array_equal(rows.objects[400:], twins.objects[EVERY ^ 1])
    np.testing.assert_array_equal(rows.present[400:], twins.present[EVERY ^ 1])
    assert rows.partner_objects.shape[:2] == (800, 0)
    for name in ("instance", "origin", "target", "weight", "levels"):
        column = getattr(batch, name)
        assert torch.equal(getattr(rows, name), torch.cat([column, column]))
    assert rows.view.tolist() == [0] * 400 + [1] * 400


def test_views_after_it_act_on_partners_and_anomalies_are_of_the_event() -> None:
    events = toy_events(300, seed=2, copies=3)
    every = np.arange(300)
    settings = toy_settings(
        views=["resimulate", {"name": "flip", "probability": 1.0}],
        n_views=3,
        objective="anomclr",
        anomalies=[{"name": "flip", "probability": 1.0}],
    )
    partners = np.stack([every // 3 * 3 + (every + 1) % 3, every // 3 * 3 + (every + 2) % 3], axis=1)
    batch = with_partners(events, 2).batch(every, partners)
    rows = settings.expansion(events.schema)(batch, torch.Generator().manual_seed(0))
    flipped = np.where(events.present[..., None], events.objects * np.array([1, -1, 1], np.float32), 0)
    expected = np.concatenate([flipped, flipped[partners[:, 0]], flipped[partners[:, 1]], flipped])
    np.testing.assert_array_equal(np.where(rows.present[..., None], rows.objects, 0), expected)
    assert rows.anomalous.tolist() == [False] * 900 + [True] * 300


@pytest.mark.parametrize("name", ["ntxent", "anomclr"])
def test_two_rows_of_one_source_are_no_strangers_even_when_both_are_in_the_batch(name: str, twins: Events) -> None:
    settings = objective_settings(name, views=["resimulate"])
    batch = with_partners(twins).batch(EVERY[:40], EVERY[:40, None] ^ 1)
    rows = settings.expansion(twins.schema)(batch, torch.Generator().manual_seed(0))
    # Twenty events with four rows each: what a batch of twenty events with four views is.
    z = torch.randn(len(rows), 4, generator=torch.Generator().manual_seed(0))
    loss = settings.objective.build(toy_problem(twins, settings))
    same = replace(rows, origin=torch.arange(len(rows)) % 40 // 2)
    apart = replace(rows, origin=rows.instance)
    assert float(loss(z, rows).detach()) == float(loss(z, same).detach())
    assert float(loss(z, rows).detach()) != float(loss(z, apart).detach())


def test_a_batch_without_partners_is_not_taken_for_one_with_them(toy: Events) -> None:
    with pytest.raises(AssertionError, match="without the partners"):
        toy_batch(toy, toy_settings(views=["resimulate"], objective="ntxent"))
    plain = toy_batch(toy, toy_settings(views=["rotate"], objective="ntxent"))
    assert isinstance(plain, Batch)


def test_partners_of_mapped_events_travel_without_them(twins: Events, tmp_path: Path) -> None:
    sample = Sample.write(tmp_path / "sample", twins, shard_size=150)
    with mapped_events(sample, tmp_path) as events:
        data = with_partners(events)
        content = pickle.dumps(data)
        # Four columns of 400 rows as in other tables, three of the partners and the starts of 200 events.
        assert len(content) < 400 * (4 + 3.5) * 8 + 4000 < len(content) + twins.objects.nbytes
        again = next(iter(Batches(pickle.loads(content), EVERY, 400, seed=1)))
        here = next(iter(Batches(with_partners(twins), EVERY, 400, seed=1)))
        assert torch.equal(again.partner_objects, here.partner_objects)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"views": ["rotate", "resimulate"]}, "'resimulate' cannot be after another view.*put it first under views"),
        ({"views": ["resimulate", "resimulate"]}, "cannot be after another view"),
        ({"views": ["rotate"], "anomalies": ["resimulate"]}, "'resimulate' cannot be among the anomalies"),
        ({"views": ["rotate"], "families": [[[], ["resimulate"]]]}, "'resimulate' cannot be in a family of anomalies"),
        ({"views": [{"name": "one-of", "views": ["resimulate"]}]}, "'resimulate' cannot be inside 'one-of'"),
        ({"views": ["resimulate"], "objective": "supcon"}, "set n_views to 2 or more"),
        ({"views": ["resimulate"], "objective": "supcon", "n_views": 1}, "set n_views to 2 or more"),
        ({"views": ["resimulat"]}, "did you mean 'resimulate'"),
        ({"views": [{"name": "resimulate", "share": 1}]}, "share"),
    ],
)
def test_wrong_places_are_named(content: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        TrainingConfig.parse({"objective": "ntxent", **content})


def test_settings_with_partners_survive_json() -> None:
    settings = toy_settings(views=["resimulate", "rotate"], n_views=3)
    assert TrainingConfig.parse(settings.model_dump(mode="json")) == settings
    assert settings.n_partners == 2
    assert toy_settings(views=["rotate"], n_views=3).n_partners == 0


def test_events_without_partners_are_refused_by_name(toy: Events, twins: Events) -> None:
    with pytest.raises(SchemaError, match='no record "source" that says which: train on what'):
        require_source(replace(toy, record={}))
    with pytest.raises(NotEnoughEventsError, match=r"none of 600 .*simulate\.resimulations, .*simulate\.copies"):
        partner_share(toy)
    assert partner_share(twins) == 1.0
    assert partner_share(twins, EVERY[3:]) == 396 / 397
