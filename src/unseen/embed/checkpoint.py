"""A checkpoint of a training: one file that holds its own hash, which is verified before anything in it is used.

torch writes a zip archive and does not look at its checksums when it reads one: other numbers would be continued from
without a word. The hash is the archive's comment, at its very end, and is of every byte before it. It is in the file
itself because a kill between the writing of two files would leave a good checkpoint with the hash of another one.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from unseen.errors import CorruptFileError

__all__ = ["BOOK", "CHECKPOINT_FORMAT", "read_checkpoint", "seal_checkpoint"]

# Format 2 had no hash.
CHECKPOINT_FORMAT = 3
# The key of the bookkeeping among the callbacks.
BOOK = "Bookkeeping"
LABEL = b"unseen sha256 "
DIGEST = 64
# What torch and its unpickler raise for content that is not what it should be.
FAULTS = (RuntimeError, LookupError, TypeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError)


def seal_checkpoint(path: Path) -> None:
    """Write the hash of a checkpoint into its archive; it stays one that torch reads."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = LABEL + b"0" * DIGEST
    digest = _digest(path.read_bytes())
    with path.open("r+b") as handle:
        handle.seek(-DIGEST, io.SEEK_END)
        handle.write(digest)


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What a checkpoint holds (`book`: the bookkeeping, `state_dict`: all weights); None if there is none.

    Errors: CorruptFileError (any byte is not the one that was written, or written by another version).
    """
    if not path.is_file():
        return None
    content = path.read_bytes()
    _check_seal(path, content)
    try:
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        book = stored["callbacks"][BOOK]
        checkpoint = {"book": book, "state_dict": stored["state_dict"]}
        format_version = book.get("format")
        if format_version == CHECKPOINT_FORMAT:
            _ = book["fingerprint"], book["history"], book["best"]
    except FAULTS as error:
        raise CorruptFileError(
            f"checkpoint {path} is damaged ({error!r}); delete it to train from the start"
        ) from error
    if format_version != CHECKPOINT_FORMAT:
        raise CorruptFileError(
            f"checkpoint {path} has format {format_version}, this version of unseen continues format "
            f"{CHECKPOINT_FORMAT}; delete it to train from the start"
        )
    return checkpoint


def _check_seal(path: Path, content: bytes) -> None:
    if not content[:-DIGEST].endswith(LABEL):
        raise CorruptFileError(
            f"checkpoint {path} is damaged or of another version of unseen (no hash at its end); "
            "delete it to train from the start"
        )
    if content[-DIGEST:] != _digest(content):
        raise CorruptFileError(
            f"checkpoint {path} is damaged (it does not match its own hash); delete it to train from the start"
        )


def _digest(content: bytes) -> bytes:
    """SHA-256, as text, of all but the place that it has at the end."""
    return hashlib.sha256(memoryview(content)[:-DIGEST]).hexdigest().encode("ascii")
