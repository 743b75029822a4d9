"""One HDF5 file of events plus a JSON sidecar with its hash: the unit that is written, checked and resumed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from unseen.errors import CorruptFileError, MissingFileError
from unseen.events.atomic import file_hash, write_json, write_whole
from unseen.events.events import Events
from unseen.events.schema import Schema

__all__ = ["ShardInfo", "map_shard", "read_info", "valid_shard", "write_shard"]

_COLUMNS = ("objects", "present", "label", "weight", "nu")


@dataclass(frozen=True)
class ShardInfo:
    """What the sidecar of a shard says: file name, SHA-256, number of events, and metadata (seed, counts, ...)."""

    file: str
    sha256: str
    n_events: int
    meta: dict[str, Any] = field(default_factory=dict)


def write_shard(path: Path, events: Events, meta: Mapping[str, Any] | None = None) -> ShardInfo:
    """Write events to `path` (HDF5) and then the sidecar `path`.json, each atomically; equal events give equal bytes.

    Datasets are contiguous and uncompressed so that they can be memory-mapped. Errors: DiskSpaceError.
    """
    # In memory first: HDF5 that meets a full disk keeps complaining about objects that it cannot close.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file.attrs["schema"] = events.schema.model_dump_json()
        file.attrs["label_names"] = json.dumps(events.label_names)
        for name in _COLUMNS:
            file.create_dataset(name, data=getattr(events, name))
        for name, values in sorted(events.record.items()):
            file.create_dataset(f"record/{name}", data=values)
    with write_whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    info = ShardInfo(path.name, file_hash(path), len(events), dict(meta or {}))
    write_json(path.with_suffix(".json"), asdict(info))
    return info


def read_info(path: Path) -> ShardInfo:
    """The sidecar of the shard at `path`; MissingFileError or CorruptFileError."""
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        raise MissingFileError(f"shard {path} has no sidecar {sidecar.name}: it was never finished; make it again")
    try:
        return ShardInfo(**json.loads(sidecar.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CorruptFileError(f"sidecar {sidecar} is damaged: {error}; delete it and make the shard again") from error


def valid_shard(path: Path, meta: Mapping[str, Any] | None = None) -> ShardInfo | None:
    """The sidecar if the shard is whole, unchanged and (where given) has this metadata; else None."""
    try:
        info = read_info(path)
    except (MissingFileError, CorruptFileError):
        return None
    if not path.is_file() or file_hash(path) != info.sha256:
        return None
    return info if all(info.meta.get(key) == value for key, value in (meta or {}).items()) else None


def map_shard(path: Path, sha256: str | None = None) -> Events:
    """Open a shard as memory maps: nothing is read until it is indexed.

    With `sha256` the file's hash is checked first. Errors: MissingFileError, CorruptFileError.
    """
    if not path.is_file():
        raise MissingFileError(f"no shard {path}")
    if sha256 is not None and file_hash(path) != sha256:
        raise CorruptFileError(f"{path} does not match its recorded hash: it was changed or truncated; make it again")
    try:
        with h5py.File(path, "r") as file:
            schema = Schema.parse(json.loads(file.attrs["schema"]), origin=str(path))
            names = tuple(json.loads(file.attrs["label_names"]))
            columns = {name: _map(path, file[name]) for name in _COLUMNS}
            record = {name: _map(path, file["record"][name]) for name in file.get("record", {})}
    except (OSError, KeyError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a readable shard ({error}); make it again") from error
    return Events(schema, label_names=names, record=record, **columns)


def _map(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    dtype = np.dtype(np.bool_) if dataset.dtype == np.bool_ else dataset.dtype
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:  # empty or compressed: no bytes to map
        values: NDArray[Any] = np.asarray(dataset[()], dtype=dtype)
        values.flags.writeable = False
        return values
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=dataset.shape)
