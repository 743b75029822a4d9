"""JSON files that hold the hash of their own content, so that a changed digit is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unseen.errors import CorruptFileError
from unseen.events.atomic import write_json

__all__ = ["SEAL", "check_seal", "seal_of", "write_sealed_json"]

SEAL = "content_sha256"


def seal_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces, ASCII) of everything but the seal."""
    # Once through JSON first: keys that are not text become text there, and text is sorted otherwise.
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != SEAL}))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def write_sealed_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically with its seal under `content_sha256`; one file, so that a kill parts them never."""
    write_json(path, {**content, SEAL: seal_of(content)})


def check_seal(content: Mapping[str, Any], path: Path, required: bool, remedy: str) -> None:
    """CorruptFileError, which names `path` and the `remedy`, unless the content is the one that was sealed.

    A file without a seal passes where none is `required`: it was written before there were any.
    """
    if SEAL not in content and not required:
        return
    if content.get(SEAL) != seal_of(content):
        raise CorruptFileError(f"{path} does not match its own hash ({SEAL}): it was changed or damaged; {remedy}")
