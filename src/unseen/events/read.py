"""`unseen.read`: any supported file or folder to Events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py

from unseen.errors import CorruptFileError, MissingFileError, SchemaError, did_you_mean
from unseen.events.adc2021 import DATASET, read_adc2021
from unseen.events.alike import difference
from unseen.events.events import Events
from unseen.events.sample import Sample, _in_memory
from unseen.events.schema import ADC2021, Schema, Selection
from unseen.events.selection import select as apply_selection
from unseen.events.shards import map_shard, valid_shard

__all__ = ["READERS", "read"]


def _read_hdf5(path: Path, schema: Schema | None) -> Events:
    try:
        with h5py.File(path, "r") as file:
            adc2021, shard = DATASET in file, "objects" in file
            known = sorted(file)
    except OSError as error:
        raise CorruptFileError(f"{path} is not a readable HDF5 file ({error}); copy it again") from error
    if adc2021:
        return read_adc2021(path, schema or ADC2021)
    if not shard:
        raise SchemaError(f"{path} has neither '{DATASET}' (ADC2021 layout) nor 'objects' (a shard); it has {known}")
    info = valid_shard(path)
    if info is None and path.with_suffix(".json").is_file():
        raise CorruptFileError(f"{path} does not match its sidecar: it was changed or truncated; make it again")
    return _in_memory(map_shard(path))


# Extending: one function and one line here.
READERS: dict[str, Callable[[Path, Schema | None], Events]] = {".h5": _read_hdf5, ".hdf5": _read_hdf5}


def read(path: str | Path, schema: Schema | str | None = None, select: bool | Selection = False) -> Events:
    """Read events from a sample folder, a shard, or an ADC2021 HDF5 file.

    `schema`: a Schema, the name of a built-in one or a YAML file, needed where the file does not carry it. A file that
    does has to have its layout and units; the events then have its selection.
    `select`: True applies the schema's own selection, or give a Selection.
    Errors: MissingFileError, CorruptFileError, SchemaError, NonFiniteError.

    >>> unseen.read("w.h5", select=True)  # doctest: +SKIP
    """
    path = Path(path)
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingFileError(f"no file or folder {path}{did_you_mean(path.name, siblings) if siblings else ''}")
    layout = Schema.load(schema) if isinstance(schema, str) else schema
    if path.is_dir():
        events = Sample.open(path).load()
    elif path.suffix in READERS:
        events = READERS[path.suffix](path, layout)
    else:
        raise SchemaError(
            f"cannot read '{path.suffix}' files ({path}); supported: folders with sample.json, {sorted(READERS)}"
        )
    if layout is not None:
        events = _with_selection(events, layout, path)
    if select is False:
        return events
    return apply_selection(events, events.schema.selection if select is True else select)


def _with_selection(events: Events, layout: Schema, path: Path) -> Events:
    """The events with the selection of `layout`, so that they say which one belongs to them, if they are of it."""
    stored = events.schema
    found = difference(layout, stored)
    if found is None and stored.collections != layout.collections:
        found = "those of this schema", "other thresholds or type codes in its collections"
    if found is not None:
        raise SchemaError(
            f"{path} holds schema '{stored.name}', not '{layout.name}': it has {found[1]}, not {found[0]}"
        )
    return replace(events, schema=stored.model_copy(update={"selection": layout.selection}))
