"""What holds for any events: indexing, concatenation, selection, padding and files, on arbitrary small batches."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.strategies import NAMES, OBJECTS, SCHEMA, batches, build, cuts, requirements, rows, selections
from unseen.events import Collection, Cut, Events, Requirement, Sample, Selection, map_shard, select, write_shard
from unseen.events.normalisation import Normalisation
from unseen.events.selection import passes, remove_objects

many = settings(max_examples=60, deadline=None, derandomize=True, database=None)
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def names_of(events: Events) -> list[str]:
    return [events.label_names[i] for i in events.label]


def ragged(events: Events, name: str) -> ak.Array:
    """A collection as readers get it: lists of records."""
    mask = events.has(name)
    counts = mask.sum(axis=1)
    fields = {feature: events.get(name, feature)[mask] for feature in events.schema.features}
    return ak.unflatten(ak.zip(fields), counts)


@many
@given(st.data())
def test_indexing_twice_is_indexing_once(data: Any) -> None:
    events = data.draw(batches())
    first = data.draw(rows(len(events)))
    numbers = np.arange(len(events))[first]
    second = data.draw(rows(len(numbers)))
    assert events[first][second] == events[numbers[second]]
    np.testing.assert_array_equal(events[first].record["source"], events.record["source"][numbers])


@many
@given(st.lists(batches(), min_size=1, max_size=4))
def test_concatenation_keeps_every_row(parts: list[Events]) -> None:
    whole = Events.concatenate(parts)
    assert names_of(whole) == [name for part in parts for name in names_of(part)]
    start = 0
    for part in parts:
        mine = whole[start : start + len(part)]
        start += len(part)
        assert np.array_equal(mine.objects, part.objects)
        assert np.array_equal(mine.record["source"], part.record["source"])
        assert np.array_equal(mine.weight, part.weight)
        assert np.array_equal(mine.nu, part.nu)
    assert start == len(whole)
    assert not whole.objects.flags.writeable


@many
@given(st.lists(batches(), min_size=2, max_size=4), st.integers(1, 3))
def test_concatenation_is_associative(parts: list[Events], cut: int) -> None:
    cut = min(cut, len(parts) - 1)
    left, right = Events.concatenate(parts[:cut]), Events.concatenate(parts[cut:])
    assert Events.concatenate([left, right]) == Events.concatenate(parts)


@many
@given(batches(), st.sets(st.sampled_from((*NAMES, "absent"))))
def test_classes_partition_the_events(events: Events, names: set[str]) -> None:
    chosen = events.of(*names)
    assert names_of(chosen) == [name for name in names_of(events) if name in names]
    others = events.of(*(set(events.label_names) - names))
    assert len(chosen) + len(others) == len(events)


@many
@given(batches(), selections)
def test_selecting_twice_is_selecting_once(events: Events, selection: Selection) -> None:
    once = select(events, selection)
    assert select(once, selection) == once
    assert np.isin(once.record["source"], events.record["source"]).all()


@many
@given(batches(), selections, st.data())
def test_selection_looks_at_one_event_at_a_time(events: Events, selection: Selection, data: Any) -> None:
    chosen = data.draw(rows(len(events)))
    kept = passes(remove_objects(events, selection.objects), selection)
    part = events[chosen]
    np.testing.assert_array_equal(passes(remove_objects(part, selection.objects), selection), kept[chosen])
    assert select(part, selection) == remove_objects(part, selection.objects)[kept[chosen]]


@many
@given(batches(), st.sampled_from(OBJECTS), cuts)
def test_removal_keeps_what_passes_in_its_order(events: Events, name: str, cut: Cut) -> None:
    after = remove_objects(events, {name: cut})
    for i in range(len(events)):
        wanted = [
            (pt, eta, phi)
            for (pt, eta, phi), there in zip(events.objects[i, SCHEMA.slots(name)], events.has(name)[i], strict=True)
            if there and pt > cut.pt_min and (cut.abs_eta_max is None or abs(eta) < cut.abs_eta_max)
        ]
        n = len(wanted)
        assert after.has(name)[i].tolist() == [True] * n + [False] * (SCHEMA.collection(name).slots - n)
        np.testing.assert_array_equal(after.objects[i, SCHEMA.slots(name)][:n], np.reshape(wanted, (n, 3)))
    other = OBJECTS[1 - OBJECTS.index(name)]
    np.testing.assert_array_equal(after.get(other, "pt"), events.get(other, "pt"))
    np.testing.assert_array_equal(after.weight, events.weight)


@many
@given(batches(), requirements)
def test_a_tighter_requirement_keeps_fewer(events: Events, wanted: Requirement) -> None:
    loose = passes(events, Selection(all_of=(wanted,)))
    for change in ({"pt_min": wanted.pt_min + 5}, {"abs_eta_max": 0.05}, {"count": wanted.count + 1}):
        tight = passes(events, Selection(all_of=(wanted.model_copy(update=change),)))
        assert not (tight & ~loose).any()
    either = passes(events, Selection(any_of=(wanted, wanted.model_copy(update={"pt_min": 0.0}))))
    assert not (loose & ~either).any()


@few
@given(batches(), st.integers(0, 2**32))
def test_padding_undoes_unpadding(events: Events, seed: int) -> None:
    rng = np.random.default_rng(seed)
    collections: dict[str, Any] = {"met": {f: events.get("met", f)[:, 0] for f in SCHEMA.features}}
    for name in OBJECTS:
        array = ragged(events, name)
        shuffled = ak.unflatten(rng.random(len(ak.flatten(array))), ak.num(array))
        collections[name] = array[ak.argsort(shuffled, axis=1)]
    columns = {name: getattr(events, name) for name in ("label", "label_names", "weight", "nu", "record")}
    assert Events.from_awkward(SCHEMA, collections, **columns) == events


@few
@given(batches(min_size=1))
def test_padding_keeps_the_hardest(events: Events) -> None:
    narrow = SCHEMA.model_copy(update={"collections": (Collection(name="jets", slots=2, type=3),)})
    kept = Events.from_awkward(narrow, {"jets": ragged(events, "jets")})
    np.testing.assert_array_equal(kept.get("jets", "pt"), events.get("jets", "pt")[:, :2])
    np.testing.assert_array_equal(kept.get("jets", "phi"), events.get("jets", "phi")[:, :2])


@few
@given(batches())
def test_a_shard_gives_back_what_was_written(events: Events) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        info = write_shard(path, events)
        again = map_shard(path, info.sha256)
        assert again == events
        assert info.n_events == len(events)
        for name in ("objects", "present", "label", "weight", "nu"):
            assert getattr(again, name).dtype == getattr(events, name).dtype
            assert not getattr(again, name).flags.writeable


@few
@given(batches(min_size=1, max_size=12), st.integers(1, 13), st.data())
def test_a_sample_is_indexed_like_one_batch(events: Events, shard_size: int, data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample.write(folder, events, shard_size=shard_size)
        assert len(sample.shards) == -(-len(events) // shard_size)
        chosen = data.draw(rows(len(events)))
        assert sample[chosen] == events[chosen]
        assert Events.concatenate(list(sample.blocks(data.draw(st.integers(1, 13))))) == events


@few
@given(st.lists(batches(max_size=5), min_size=1, max_size=3), st.data())
def test_labels_mean_the_same_in_every_part_of_a_sample(parts: list[Events], data: Any) -> None:
    """Shards of different classes: a class has one number, whichever rows are read."""
    from unseen.events import write_sample

    whole = Events.concatenate(parts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = write_sample(folder, [write_shard(folder / f"{i}.h5", part) for i, part in enumerate(parts)])
        chosen = data.draw(rows(len(whole)))
        assert sample[chosen] == whole[chosen]
        assert all(block.label_names == whole.label_names for block in sample.blocks(2))


@few
@given(st.integers(0, 2**32), st.booleans(), st.floats(0.1, 50.0))
def test_normalisation_forgets_order_and_units(seed: int, log_pt: bool, scale: float) -> None:
    events = build(40, seed)
    fitted = Normalisation.fit(events, log_pt=log_pt)
    x = fitted.apply(events.objects, events.present)
    shuffled = Normalisation.fit(events[np.random.default_rng(seed).permutation(40)], log_pt=log_pt)
    np.testing.assert_allclose(shuffled.apply(events.objects, events.present), x, rtol=1e-4, atol=1e-4)
    if not log_pt:
        other = events.replace_objects(events.objects * np.float32(scale), events.present)
        refitted = Normalisation.fit(other).apply(other.objects, other.present)
        np.testing.assert_allclose(refitted, x, rtol=1e-3, atol=1e-3)
