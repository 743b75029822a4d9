"""Training on memory-mapped events gives the bits of training on the same events in memory."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.embed.test_data import table
from tests.embed.toy import toy_settings
from unseen.embed import train
from unseen.embed.mapped import Handle, as_handle, mapped_events
from unseen.errors import NonFiniteError
from unseen.events import Events, Sample
from unseen.events.shards import map_shard


def test_a_sample_trains_to_the_bits_of_its_events(toy: Events, tmp_path: Path) -> None:
    sample = Sample.write(tmp_path / "sample", toy, shard_size=170)
    assert len(sample.shards) == 4
    settings = toy_settings(epochs=2, views=["rotate"])
    mapped = train(sample, settings, tmp_path / "mapped", seed=1)
    shard = train(Sample.write(tmp_path / "one", toy), settings, tmp_path / "shard", seed=1)
    direct = train(map_shard(tmp_path / "one" / "shard-00000.h5"), settings, tmp_path / "direct", seed=1)
    train(toy, settings, tmp_path / "memory", seed=1)
    for name in ("model.safetensors", "model.json", "history.json"):
        expected = (tmp_path / "memory" / name).read_bytes()
        for folder in ("mapped", "shard", "direct"):
            assert (tmp_path / folder / name).read_bytes() == expected
    assert not list((tmp_path / "mapped").glob(".training*"))
    np.testing.assert_array_equal(mapped.embed(toy), shard.embed(toy))
    np.testing.assert_array_equal(mapped.embed(toy), direct.embed(toy))


def test_the_scratch_files_go_whatever_happens(toy: Events, tmp_path: Path) -> None:
    sample = Sample.write(tmp_path / "sample", toy)
    with pytest.raises(NonFiniteError):
        train(sample, toy_settings(lr=1e30, gradient_clip=None, warmup=0.0), tmp_path / "out", seed=1)
    assert not list((tmp_path / "out").glob(".training*"))


def test_maps_travel_as_file_names(toy: Events, tmp_path: Path) -> None:
    sample = Sample.write(tmp_path / "sample", toy, shard_size=250)
    with mapped_events(sample, tmp_path) as events:
        assert events == toy
        assert isinstance(as_handle(events.objects), Handle)
        columns = table(events)
        content = pickle.dumps(columns)
        # Labels, weights and rows of 600 events, not their 600 x 5 x 3 floats.
        assert len(content) < 600 * 4 * 8 + 4000 < toy.objects.nbytes
        again = pickle.loads(content)
        index = np.array([3, 1, 599])
        np.testing.assert_array_equal(again.batch(index).objects, toy.objects[index])
        np.testing.assert_array_equal(again.batch(index).present, toy.present[index])
        part = events.objects[5:]
        assert as_handle(part) is part
