"""Events of a sample on disk as memory maps, so that a training holds one batch of them and not all."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.events import Events, Sample
from unseen.events.atomic import disk_space_guard

__all__ = ["Handle", "as_handle", "mapped_events"]

BLOCK = 65536  # events copied at a time
COLUMNS = ("objects", "present")


@dataclass(frozen=True)
class Handle:
    """Where the bytes of a memory-mapped array are: what travels to another process in its place."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def open(self) -> NDArray[Any]:
        """Map the array again."""
        return np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)


def as_handle(array: NDArray[Any]) -> NDArray[Any] | Handle:
    """A handle for a whole memory map, the array itself for anything else."""
    # A part of a map keeps the offset of the whole, so only maps that sit on their file directly have handles.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename is not None:
        return Handle(str(array.filename), array.dtype.str, array.shape, array.offset)
    return array


@contextlib.contextmanager
def mapped_events(events: Events | Sample, scratch: Path, rank: int = 0) -> Iterator[Events]:
    """Events as they are; a sample as Events whose objects and mask are memory maps, in the order of its shards.

    The shards are laid end to end in two files of the folder `scratch`, which are removed at the end and which process
    `rank` alone uses; labels, weights and records are held in memory. Errors: DiskSpaceError.
    """
    if isinstance(events, Events):
        yield events
        return
    paths = {name: scratch / f".training-{name}-{rank}.npy" for name in COLUMNS}
    try:
        with disk_space_guard(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            mapped = _laid_out(events, paths)
        yield mapped
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


def _laid_out(sample: Sample, paths: dict[str, Path]) -> Events:
    frame = sample[:0]
    maps = {
        name: np.lib.format.open_memmap(
            paths[name],
            mode="w+",
            dtype=getattr(frame, name).dtype,
            shape=(len(sample), *getattr(frame, name).shape[1:]),
        )
        for name in COLUMNS
    }
    start, parts = 0, [_without_objects(frame)]
    for block in sample.blocks(BLOCK):
        for name, column in maps.items():
            column[start : start + len(block)] = getattr(block, name)
        parts.append(_without_objects(block))
        start += len(block)
    for column in maps.values():
        column.flush()
    rest = Events.concatenate(parts)
    objects, present = (np.lib.format.open_memmap(paths[name], mode="r") for name in COLUMNS)
    return Events(
        sample.schema,
        objects=objects,
        present=present,
        label=rest.label,
        weight=rest.weight,
        nu=rest.nu,
        label_names=rest.label_names,
        record=rest.record,
    )


def _without_objects(events: Events) -> Events:
    return Events(
        events.schema,
        objects=events.objects[:, :0],
        present=events.present[:, :0],
        label=events.label,
        weight=events.weight,
        nu=events.nu,
        label_names=events.label_names,
        record=events.record,
    )
