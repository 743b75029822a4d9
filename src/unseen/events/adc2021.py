"""Read the public ADC2021 HDF5 layout: one dataset `Particles` of (n, 19, 4).

The last axis is (pt, eta, phi, type); type 0 = absent.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np

from unseen.errors import CorruptFileError, MissingFileError, SchemaError, did_you_mean
from unseen.events.events import Events
from unseen.events.schema import ADC2021, Schema

__all__ = ["read_adc2021"]

DATASET = "Particles"


def read_adc2021(
    path: str | Path, schema: Schema = ADC2021, process: str | None = None, rows: slice | None = None
) -> Events:
    """Events of one file; the process is the argument, else the file's attribute `process`, else its name.

    pt in GeV, phi in radians; MET has eta 0. Every row is taken as its own generated event: `record["source"]`
    is the row number below a hash of the file's content, so the same file read twice is recognised.
    Errors: MissingFileError, CorruptFileError, SchemaError, NonFiniteError.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no file {path}")
    rows = rows or slice(None)
    try:
        with h5py.File(path, "r") as file:
            if DATASET not in file:
                raise SchemaError(f"{path} has no dataset '{DATASET}'{did_you_mean(DATASET, file)}")
            name = process or str(file.attrs.get("process", path.stem))
            identity = zlib.crc32(file[DATASET][:1024].tobytes(), len(file[DATASET]))
            numbers = np.arange(len(file[DATASET]))[rows]
            values = file[DATASET][rows]
    except OSError as error:
        raise CorruptFileError(f"{path} is not a readable HDF5 file ({error}); copy it again") from error
    expected = (schema.n_slots, schema.n_features + 1)
    if values.ndim != 3 or values.shape[1:] != expected:
        raise SchemaError(
            f"{path}: '{DATASET}' has shape {values.shape}, schema '{schema.name}' needs {('n', *expected)}"
        )
    types = values[..., -1]
    present = types != 0
    wrong = present & (types != schema.slot_types)
    if wrong.any():
        row, slot = np.argwhere(wrong)[0]
        raise SchemaError(
            f"{path}: event {row}, slot {slot} has type {types[row, slot]:g}, expected {schema.slot_types[slot]}"
        )
    source = (np.int64(identity) << 31) + numbers
    return Events.create(schema, values[..., :-1], present, label_names=(name,), record={"source": source})
