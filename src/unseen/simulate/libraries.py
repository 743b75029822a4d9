"""Make, check and load the libraries that shards draw from."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from unseen.events.atomic import file_hash, write_json
from unseen.seeds import small_seed
from unseen.simulate.decays import DecayLibrary, make_decays
from unseen.simulate.jobs import LibraryJob
from unseen.simulate.overlay import UnderlyingEvents, make_underlying_events

__all__ = ["decays", "make_library", "underlying_events", "valid_library"]


def make_library(job: LibraryJob) -> None:
    """Generate and write a library with its sidecar."""
    seed = small_seed(job.seed, "simulate", job.kind, job.role)
    made = make_underlying_events(seed, job.size) if job.kind == "underlying" else make_decays(seed, job.size)
    made.save(job.path)
    write_json(job.path.with_suffix(".json"), {"sha256": file_hash(job.path), "meta": job.meta})


def valid_library(job: LibraryJob) -> bool:
    """Whether the file is there, unchanged, and made as the job says."""
    try:
        sidecar = json.loads(job.path.with_suffix(".json").read_text(encoding="utf-8"))
        return bool(sidecar["meta"] == job.meta and file_hash(job.path) == sidecar["sha256"])
    except (OSError, ValueError, KeyError):
        return False


@lru_cache(maxsize=2)
def underlying_events(path: Path) -> UnderlyingEvents:
    """Load once per worker."""
    return UnderlyingEvents.load(path)


@lru_cache(maxsize=2)
def decays(path: Path) -> DecayLibrary:
    """Load once per worker."""
    return DecayLibrary.load(path)
