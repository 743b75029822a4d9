"""What workers do for the simulation; light to import, the work comes on first use."""

from __future__ import annotations

from unseen.events import ShardInfo
from unseen.simulate.jobs import LibraryJob, ShardJob

__all__ = ["library", "shard"]


def library(job: LibraryJob, _: None) -> None:
    """Make a library."""
    from unseen.simulate.libraries import make_library

    make_library(job)


def shard(job: ShardJob, _: None) -> ShardInfo:
    """Make a shard."""
    from unseen.simulate.generate import make_shard

    return make_shard(job)
