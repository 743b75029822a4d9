"""Plain arrays on disk: .npz without pickled objects, written whole, checked on reading."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import CorruptFileError, MissingFileError
from unseen.events.atomic import write_whole

__all__ = ["FloatArray", "read_arrays", "write_arrays"]

FloatArray = NDArray[Any]


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write named arrays; equal arrays give equal bytes."""
    with write_whole(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)


def read_arrays(path: str | Path, needs: tuple[str, ...] = ()) -> dict[str, FloatArray]:
    """All arrays of a file by name.

    Errors: MissingFileError, CorruptFileError (unreadable, or an array of `needs` is absent).
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no file {path}")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise CorruptFileError(f"{path} is not a readable .npz of plain arrays ({error})") from error
    for name in needs:
        if name not in arrays:
            raise CorruptFileError(f"{path} has no array '{name}'; it has {sorted(arrays)}")
    return arrays
