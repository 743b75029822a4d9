"""The stages of a run folder: skipped when their inputs are unchanged, made again when they are not."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from unseen.errors import ConfigError
from unseen.events.atomic import disk_space_guard, file_hash, write_json

__all__ = ["digest", "locked", "run_stage", "stage_seconds"]

RECORD = "stage.json"
STARTED = "inputs.json"


def digest(content: Any) -> str:
    """SHA-256 of a JSON-able value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def run_stage(
    folder: Path,
    inputs: Mapping[str, Any],
    work: Callable[[Path], None],
    *,
    outputs: tuple[str, ...],
    keep: bool = False,
) -> tuple[str, bool]:
    """Run `work(folder)` unless the folder already holds its outputs for the same inputs.

    `outputs` are the files that later stages read; the record with their hashes is written last, so a stage that was
    killed has none. What a killed attempt left behind is kept for `work` to continue from if its inputs were the same,
    else removed; with `keep` it always stays (for work that checks its own pieces). Work that fails before it has
    written anything, as it does on bad input, leaves no folder.
    Returns the hash that stands for the outputs, and whether the stage was skipped.
    """
    key = digest(inputs)
    record = _read(folder / RECORD)
    recorded = record.get("outputs", {})
    if record.get("key") == key and all(_unchanged(folder / name, recorded.get(name)) for name in outputs):
        return digest(recorded), True
    if folder.exists() and not keep and _read(folder / STARTED).get("key") != key:
        shutil.rmtree(folder)
    (folder / RECORD).unlink(missing_ok=True)
    write_json(folder / STARTED, {"key": key})
    start = time.perf_counter()
    try:
        with disk_space_guard(folder):
            work(folder)
    except BaseException:
        if [path.name for path in folder.iterdir()] == [STARTED]:
            shutil.rmtree(folder)
        raise
    hashes = {name: file_hash(folder / name) for name in outputs}
    write_json(folder / RECORD, {"key": key, "outputs": hashes, "seconds": round(time.perf_counter() - start, 2)})
    return digest(hashes), False


def stage_seconds(folder: Path) -> float | None:
    """How long the stage took when it was last run."""
    seconds = _read(folder / RECORD).get("seconds")
    return None if seconds is None else float(seconds)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _unchanged(path: Path, expected: str | None) -> bool:
    return path.is_file() and file_hash(path) == expected


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder for this process; ConfigError if another one is at work in it."""
    with disk_space_guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another run is at work in {folder}: wait for it or choose another --out") from error
        yield
