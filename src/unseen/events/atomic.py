"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unseen.errors import DiskSpaceError

__all__ = ["FULL", "disk_space_guard", "file_hash", "write_json", "write_whole"]


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def disk_space_guard(target: Path) -> Iterator[None]:
    """Turn "no space left on device", a quota or a limit on the file size, however worded, into a DiskSpaceError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) not in FULL and not any(os.strerror(code) in str(error) for code in FULL):
            raise
        raise DiskSpaceError(
            f"no space left (or no more allowed) while writing {target}; nothing half-written remains. "
            "Free some and rerun"
        ) from error


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is flushed to disk and renamed, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The host too: on a file system that several machines share, two of them may write it with equal process numbers.
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.part")
    try:
        with disk_space_guard(path):
            yield temporary
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, with sorted keys and no NaN, so that equal content gives equal bytes."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
