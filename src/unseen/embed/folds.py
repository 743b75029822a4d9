"""Which of k folds an event is in: by its identity and a seed alone, so that any event can be asked at any time."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError, SchemaError
from unseen.events import Events

__all__ = ["Identity", "fold_of", "identity_of"]

Identity = Literal["source", "content"]


def identity_of(events: Events) -> Identity:
    """What tells one event from another: `record["source"]`, so that copies stay together, else the objects."""
    return "source" if "source" in events.record else "content"


def fold_of(events: Events, folds: int, seed: int, identity: Identity) -> NDArray[np.int64]:
    """The fold of every event, int64 (n,) in 0..folds-1: BLAKE2b of (seed, identity of the event) modulo `folds`.

    Folds are equally large up to chance, and an event has the same one whatever is beside it.
    Errors: SchemaError (no record "source" where that is the identity).
    """
    if identity == "source" and "source" not in events.record:
        raise SchemaError('these events have no record "source", which is what the folds of this training go by')
    key = seed.to_bytes(16, "little", signed=True)

    def fold(content: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=key).digest(), "little") % folds

    if identity == "content":
        return np.fromiter((fold(x.tobytes()) for x in events.objects), np.int64, len(events))
    sources, where = np.unique(events.record["source"].astype(np.int64), return_inverse=True)
    numbers = np.fromiter((fold(s.tobytes()) for s in sources), np.int64, len(sources))
    result: NDArray[np.int64] = numbers[where]
    return result


def check_folds(fold: NDArray[np.int64], folds: int) -> None:
    """NotEnoughEventsError if a fold, or all but one, is empty."""
    empty = np.flatnonzero(np.bincount(fold, minlength=folds) == 0)
    if len(empty):
        raise NotEnoughEventsError(
            f"{len(fold)} training events leave fold {empty[0]} of {folds} empty; give more events or fewer folds"
        )
