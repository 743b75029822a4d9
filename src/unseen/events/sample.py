"""A folder of shards and a `sample.json`: events on disk, possibly more than memory holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import CorruptFileError, MissingFileError, SchemaError
from unseen.events.atomic import write_json
from unseen.events.events import Events
from unseen.events.shards import ShardInfo, map_shard, write_shard

__all__ = ["Sample", "write_sample"]

FORMAT_VERSION = 1


def write_sample(folder: Path, shards: Sequence[ShardInfo], provenance: Mapping[str, Any] | None = None) -> Sample:
    """Write `sample.json` for shards that are already in `folder`; it names every shard with its hash and count.

    `provenance` holds what made the sample: seeds, cross sections, software versions.
    Errors: SchemaError (shards differ).
    """
    if not shards:
        raise SchemaError(f"cannot write sample {folder}: no shards")
    schemas = [map_shard(folder / shard.file).schema for shard in shards]
    for shard, schema in zip(shards, schemas, strict=True):
        if schema != schemas[0]:
            raise SchemaError(f"shard {shard.file} in {folder} has another schema than {shards[0].file}")
    content = {
        "format_version": FORMAT_VERSION,
        "schema": schemas[0].model_dump(mode="json"),
        "n_events": sum(shard.n_events for shard in shards),
        "content_hash": _content_hash(shards),
        "shards": [asdict(shard) for shard in shards],
        "provenance": dict(provenance or {}),
    }
    write_json(folder / "sample.json", content)
    return Sample.open(folder, verify=False)


def _content_hash(shards: Sequence[ShardInfo]) -> str:
    return hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()


class Sample:
    """Events in memory-mapped shards behind the indexing of one batch.

    `sample[rows]` and `sample.blocks(n)` return in-memory Events; `sample.load()` returns all of them. Label names, and
    so the meaning of the labels, are those of the whole sample in each of them.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any], shards: Sequence[ShardInfo], maps: Sequence[Events]):
        self.folder = folder
        self.content_hash: str = content["content_hash"]
        self.provenance: dict[str, Any] = dict(content["provenance"])
        self.shards = tuple(shards)
        self.schema = maps[0].schema
        self._maps = tuple(maps)
        # No rows, but the label names and record columns of all shards: what is read has them, whichever rows it holds.
        self._frame = Events.concatenate([m[:0] for m in maps])
        self._starts = np.cumsum([0, *(len(m) for m in maps)])

    @classmethod
    def open(cls, folder: str | Path, verify: bool = True) -> Sample:
        """Open a sample folder; with `verify` every shard is checked against its SHA-256 first.

        Errors: MissingFileError, CorruptFileError.
        """
        folder = Path(folder)
        path = folder / "sample.json"
        if not path.is_file():
            raise MissingFileError(f"{folder} is not a sample: it has no sample.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            shards = [ShardInfo(**shard) for shard in content["shards"]]
            recorded, version = content["content_hash"], content["format_version"]
            dict(content["provenance"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{path} is damaged ({error}); make the sample again") from error
        if version != FORMAT_VERSION:
            raise CorruptFileError(f"{path} has format {version}, this version reads {FORMAT_VERSION}")
        if not shards or recorded != _content_hash(shards):
            raise CorruptFileError(f"{path} does not match its content hash; make the sample again")
        maps = [map_shard(folder / shard.file, shard.sha256 if verify else None) for shard in shards]
        return cls(folder, content, shards, maps)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: slice | NDArray[Any]) -> Events:
        """Rows by slice, mask or indices, gathered from the shards into memory in the order asked for."""
        indices = np.arange(len(self))[rows]
        shard = np.searchsorted(self._starts, indices, side="right") - 1
        parts, order = [self._frame], [indices[:0]]
        for i in np.unique(shard):
            chosen = np.flatnonzero(shard == i)
            parts.append(_in_memory(self._maps[i][indices[chosen] - self._starts[i]]))
            order.append(chosen)
        return Events.concatenate(parts)[np.argsort(np.concatenate(order))]

    def blocks(self, size: int = 65536) -> Iterator[Events]:
        """All events in order, at most `size` at a time, never more than one block in memory."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def load(self) -> Events:
        """Everything, in memory."""
        return self[:]

    @classmethod
    def write(cls, folder: str | Path, events: Events, *, shard_size: int = 100_000, **provenance: Any) -> Sample:
        """Write events that are in memory as a sample folder."""
        folder = Path(folder)
        starts = range(0, max(len(events), 1), shard_size)
        shards = [
            write_shard(folder / f"shard-{i:05d}.h5", events[start : start + shard_size])
            for i, start in enumerate(starts)
        ]
        return write_sample(folder, shards, provenance)


def _in_memory(events: Events) -> Events:
    """Copy out of the memory map, with the checks of `Events.create`."""
    return Events.create(
        events.schema,
        events.objects,
        events.present,
        label=events.label,
        label_names=events.label_names,
        weight=events.weight,
        nu=events.nu,
        record=events.record,
    )
