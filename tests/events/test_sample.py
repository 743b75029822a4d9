from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from unseen.errors import CorruptFileError, DiskSpaceError, MissingFileError, SchemaError
from unseen.events import ADC2021, Events, Sample, Schema, map_shard, valid_shard, write_sample, write_shard
from unseen.events.atomic import write_json, write_whole


def test_a_sample_round_trips_over_several_shards(tmp_path: Path, w_events: Events) -> None:
    Sample.write(tmp_path / "s", w_events, shard_size=40, seed=3)
    sample = Sample.open(tmp_path / "s")
    assert len(sample.shards) == 4
    assert sample.load() == w_events
    assert sample.provenance == {"seed": 3}
    rows = np.array([149, 0, 41, 41])
    assert sample[rows] == w_events[rows]
    assert sample[np.zeros(len(sample), bool)] == w_events[:0]
    blocks = list(sample.blocks(64))
    assert [len(b) for b in blocks] == [64, 64, 22]
    assert Events.concatenate(blocks) == w_events


def test_shards_are_memory_mapped_not_read(tmp_path: Path, w_events: Events) -> None:
    write_shard(tmp_path / "a.h5", w_events)
    events = map_shard(tmp_path / "a.h5")
    assert isinstance(events.objects, np.memmap)
    assert isinstance(events[:10].objects.base, np.memmap)


def test_equal_events_give_equal_bytes(tmp_path: Path, w_events: Events) -> None:
    first = write_shard(tmp_path / "a" / "x.h5", w_events, {"seed": 1})
    assert first == write_shard(tmp_path / "b" / "x.h5", w_events, {"seed": 1})
    assert (tmp_path / "a" / "x.json").read_bytes() == (tmp_path / "b" / "x.json").read_bytes()


def test_an_empty_shard_is_a_shard(tmp_path: Path, w_events: Events) -> None:
    write_shard(tmp_path / "e.h5", w_events[:0])
    assert len(map_shard(tmp_path / "e.h5")) == 0


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_a_damaged_shard_is_never_read(tmp_path: Path, w_events: Events, damage: str) -> None:
    Sample.write(tmp_path, w_events)
    shard = tmp_path / "shard-00000.h5"
    content = shard.read_bytes()
    shard.unlink()
    if damage != "delete":
        flipped = content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]
        shard.write_bytes(content[: len(content) // 2] if damage == "truncate" else flipped)
    assert valid_shard(shard) is None
    with pytest.raises((CorruptFileError, MissingFileError), match="shard-00000"):
        Sample.open(tmp_path)


def test_a_truncated_shard_is_named_even_without_its_hash(tmp_path: Path, w_events: Events) -> None:
    write_shard(tmp_path / "a.h5", w_events)
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:3000])
    with pytest.raises(CorruptFileError, match=r"a\.h5"):
        map_shard(tmp_path / "a.h5")


def test_a_shard_counts_only_with_its_metadata(tmp_path: Path, w_events: Events) -> None:
    write_shard(tmp_path / "a.h5", w_events, {"seed": 1, "process": "w"})
    assert valid_shard(tmp_path / "a.h5", {"seed": 1}) is not None
    assert valid_shard(tmp_path / "a.h5", {"seed": 2}) is None


def test_sample_json_is_checked(tmp_path: Path, w_events: Events) -> None:
    with pytest.raises(MissingFileError, match=r"sample\.json"):
        Sample.open(tmp_path)
    Sample.write(tmp_path, w_events)
    content = json.loads((tmp_path / "sample.json").read_text())
    content["shards"][0]["n_events"] = 7
    content["content_hash"] = "0"
    (tmp_path / "sample.json").write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match="content hash"):
        Sample.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format 99"),
        ({"provenance": None}, "damaged"),
        ({"shards": [{"file": "x"}]}, "damaged"),
        ({"shards": []}, "content hash"),
    ],
)
def test_a_damaged_description_is_named(
    tmp_path: Path, w_events: Events, change: dict[str, object], message: str
) -> None:
    Sample.write(tmp_path, w_events)
    path = tmp_path / "sample.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CorruptFileError, match=message):
        Sample.open(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe\x00", b""])
def test_bytes_that_are_no_description_are_named(tmp_path: Path, w_events: Events, content: bytes) -> None:
    Sample.write(tmp_path, w_events)
    (tmp_path / "sample.json").write_bytes(content)
    with pytest.raises(CorruptFileError, match="damaged"):
        Sample.open(tmp_path)
    (tmp_path / "shard-00000.json").write_bytes(content)
    assert valid_shard(tmp_path / "shard-00000.h5") is None


def test_a_shard_on_a_full_disk(tmp_path: Path, w_events: Events) -> None:
    """HDF5 itself meets the full device, in the middle of the file."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a Linux device that is always full")
    temporary = tmp_path / f".a.h5.{os.uname().nodename}-{os.getpid()}.part"
    temporary.symlink_to("/dev/full")
    with pytest.raises(DiskSpaceError, match=r"a\.h5"):
        write_shard(tmp_path / "a.h5", w_events)
    assert list(tmp_path.iterdir()) == []
    assert Path("/dev/full").exists()
    write_shard(tmp_path / "a.h5", w_events)
    assert map_shard(tmp_path / "a.h5") == w_events


def test_shards_of_other_schemas_do_not_mix(tmp_path: Path, w_events: Events) -> None:
    other = Schema(name="x", collections=(ADC2021.collections[0],))
    first = write_shard(tmp_path / "a.h5", w_events)
    second = write_shard(tmp_path / "b.h5", Events.create(other, np.zeros((1, 1, 3)), np.ones((1, 1), bool)))
    with pytest.raises(SchemaError, match=r"b\.h5"):
        write_sample(tmp_path, [first, second])


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill_disk() -> None:
        with write_whole(tmp_path / "x.bin") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskSpaceError, match=r"x\.bin"):
        fill_disk()
    assert list(tmp_path.iterdir()) == []


def test_a_really_full_disk_is_named(w_events: Events) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a Linux device that is always full")
    from unseen.events.atomic import disk_space_guard

    with pytest.raises(DiskSpaceError), disk_space_guard(Path("/dev/full")), Path("/dev/full").open("wb") as handle:
        handle.write(b"x" * 100_000)


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
