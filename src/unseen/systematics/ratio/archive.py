"""A ratio on disk: arrays as safetensors, the rest as JSON with their hash and its own. No pickle."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError

from unseen.errors import CorruptFileError, MissingFileError, NonFiniteError, NuisanceError, ShapeError
from unseen.events.atomic import file_hash, write_whole
from unseen.events.sealed import check_seal, write_sealed_json
from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.source import RatioSource
from unseen.systematics.ratio.table import pack, unpack

__all__ = ["DESCRIPTION", "TENSORS", "damage", "read", "write"]

FORMAT_VERSION = 1
TENSORS = "ratio.safetensors"
DESCRIPTION = "ratio.json"
LIMITS = "limits"  # of nu, beside the arrays of the source


def write(folder: Path, source: RatioSource, limits: Floats, header: Mapping[str, Any]) -> None:
    """Write both files, the description last."""
    arrays, settings = pack(source)
    content = {f"source/{name}": value for name, value in arrays.items()} | {LIMITS: limits}
    with write_whole(folder / TENSORS) as temporary:
        temporary.write_bytes(safetensors.numpy.save(content))
    described = {"format_version": FORMAT_VERSION, "sha256": file_hash(folder / TENSORS), "source": settings}
    write_sealed_json(folder / DESCRIPTION, {**described, **header})


def read(folder: Path) -> tuple[RatioSource, Floats, dict[str, Any]]:
    """Source, limits and header. Errors: MissingFileError, CorruptFileError, UnknownNameError."""
    for name in (DESCRIPTION, TENSORS):
        if not (folder / name).is_file():
            raise MissingFileError(f"{folder} is not a density ratio: it has no {name} (was it saved to the end?)")
    with damage(folder):
        header = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if not isinstance(header, dict) or header.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"not a description of format {FORMAT_VERSION}; was it written by a newer version of unseen?"
            )
        check_seal(header, folder / DESCRIPTION, False, "copy or fit the ratio again")
        if file_hash(folder / TENSORS) != header["sha256"]:
            raise ValueError(f"{TENSORS} does not match the hash in {DESCRIPTION}")
        content = safetensors.numpy.load((folder / TENSORS).read_bytes())
        limits = content.pop(LIMITS)
        arrays = {name.removeprefix("source/"): value for name, value in content.items()}
        return unpack(arrays, header["source"]), limits, header


@contextlib.contextmanager
def damage(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while a ratio is put together from files into a CorruptFileError."""
    faults = (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        SafetensorError,
        ShapeError,
        NonFiniteError,
        NuisanceError,
    )
    try:
        yield
    except faults as error:
        raise CorruptFileError(f"{folder} is damaged ({error}); copy or fit the ratio again") from error
