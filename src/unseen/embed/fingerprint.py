"""The hash of everything that determines a trained model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np

from unseen.embed.settings import TrainingConfig
from unseen.events import Events, Sample

__all__ = ["fingerprint_of"]

BLOCK = 65536  # events at a time, so that a sample larger than the memory can be hashed
COLUMNS = ("objects", "present", "label", "weight")


def fingerprint_of(events: Events | Sample, config: TrainingConfig, seed: int) -> str:
    """SHA-256 of what determines the result: events, settings, seed; equal for events in memory and on disk."""
    hashes = {name: hashlib.sha256() for name in COLUMNS}
    names: tuple[str, ...] = ()
    for block in _blocks(events):
        names = block.label_names
        columns = {name: getattr(block, name) for name in COLUMNS} | {f"record/{k}": v for k, v in block.record.items()}
        for name, column in columns.items():
            hashes.setdefault(name, hashlib.sha256()).update(np.ascontiguousarray(column).data)
    content = [
        config.model_dump(mode="json"),
        seed,
        names,
        events.schema.model_dump_json(),
        sorted((name, digest.hexdigest()) for name, digest in hashes.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _blocks(events: Events | Sample) -> Iterator[Events]:
    if isinstance(events, Sample):
        yield from events.blocks(BLOCK)
        return
    for start in range(0, len(events), BLOCK):
        yield events[start : start + BLOCK]
