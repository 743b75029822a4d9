"""The toys that have been computed: a folder to which whole files are added and none is changed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from unseen.errors import CorruptFileError, StoreMismatchError
from unseen.events.atomic import write_json, write_whole
from unseen.power.plan import Chunk

__all__ = ["ToyStore", "content_hash"]

HEADER = "toys.json"
Floats = NDArray[np.float64]


def content_hash(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays: shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class ToyStore:
    """Statistics of toys in HDF5 files, one for each chunk, keyed by what fixes their values.

    `configuration` is everything else that fixes them (events, settings of the tests, seed). It is written once; a
    folder with another one is refused with StoreMismatchError, which names what differs. A file appears whole or not at
    all, so a run can be killed at any moment.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        self.folder = folder
        wanted = json.loads(json.dumps(dict(configuration)))
        header = folder / HEADER
        if header.is_file():
            _require_same(folder, _read_header(header), wanted)
        else:
            write_json(header, wanted)

    def path(self, chunk: Chunk) -> Path:
        """Return the file of a chunk; its name has the seed, which fixes the toys, and their number."""
        name = f"{chunk.sample.name}-{chunk.seed}-{chunk.n_toys}.h5"
        return self.folder / chunk.test / f"{chunk.column:03d}" / name

    def read(self, chunk: Chunk) -> Floats | None:
        """Return the statistics (n_toys, k) of a chunk, None if they are not there."""
        path = self.path(chunk)
        if not path.is_file():
            return None
        try:
            with h5py.File(path, "r") as file:
                t: Floats = file["t"][()]
        except (OSError, KeyError) as error:
            raise CorruptFileError(f"{path} cannot be read ({error}); delete it to compute its toys again") from error
        if t.ndim != 2 or len(t) != chunk.n_toys:
            raise CorruptFileError(f"{path} has statistics of shape {t.shape}; delete it to compute its toys again")
        return t

    def write(self, chunk: Chunk, t: Floats) -> None:
        """Add the statistics of a chunk. Raises DiskSpaceError."""
        buffer = io.BytesIO()  # HDF5 itself does not survive a full disk: it tries again when it closes the file
        with h5py.File(buffer, "w") as file:
            file.create_dataset("t", data=t)
            attributes = {"test": chunk.test, "column": chunk.column, "sample": chunk.sample.name, "seed": chunk.seed}
            for name, value in attributes.items():
                file.attrs[name] = value
        with write_whole(self.path(chunk)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


def _read_header(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFileError(f"{path} is not JSON ({error}); delete the folder to start again") from error
    if not isinstance(content, dict):
        raise CorruptFileError(f"{path} does not describe toys; delete the folder to start again")
    return content


def _flat(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the values by their names with dots."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return flat


def _require_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    found, wanted = _flat(found), _flat(wanted)
    differing = [name for name in wanted.keys() | found.keys() if found.get(name) != wanted.get(name)]
    if differing:
        what = ", ".join(f"{name} ({found.get(name)!r}, now {wanted.get(name)!r})" for name in sorted(differing))
        raise StoreMismatchError(
            f"the toys in {folder} were made with another configuration: {what}. Choose another folder, or delete it"
        )
