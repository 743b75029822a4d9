"""The rows of a study on disk: one Parquet file for each run, and one table of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unseen.errors import CorruptFileError, MissingExtraError, MissingFileError
from unseen.events.atomic import write_json, write_whole

__all__ = ["Row", "Values", "flat", "read_row", "read_table", "require_pyarrow", "write_row", "write_table"]

Values = dict[str, Any]
ROWS = "rows"


@dataclass(frozen=True)
class Row:
    """What a run of one entry gave: plain values by column; `seconds` go to provenance, never into the table."""

    name: str
    digest: str
    values: Values
    seconds: Mapping[str, float] = field(default_factory=dict)


def require_pyarrow() -> None:
    """Raise MissingExtraError unless Parquet can be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("studies write Parquet, which needs pyarrow: pip install 'unseen[study]'") from error


def flat(content: Mapping[str, Any], above: str = "") -> Values:
    """Nested settings by their dotted names; lists become JSON."""
    values: Values = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{above}{key}.")
        else:
            values[f"{above}{key}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return values


def write_row(folder: Path, row: Row) -> None:
    """Write the row of one run, and beside it how long it took. Errors: DiskSpaceError."""
    write_json(_path(folder, row.digest, ".json"), {"name": row.name, "seconds": dict(row.seconds)})
    _write(_path(folder, row.digest), [row.values])


def read_row(folder: Path, digest: str, name: str) -> Row | None:
    """The row of a run that was finished, None if it was not. Errors: CorruptFileError."""
    path = _path(folder, digest)
    if not path.is_file():
        return None
    aside = _path(folder, digest, ".json")
    seconds = json.loads(aside.read_text(encoding="utf-8"))["seconds"] if aside.is_file() else {}
    return Row(name, digest, read_table(path)[0], seconds)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows as one Parquet file; a column that a row lacks is null there."""
    _write(path, rows)


def read_table(path: str | Path) -> list[Values]:
    """The rows of a Parquet file as plain values by column. Errors: MissingFileError, CorruptFileError."""
    require_pyarrow()
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no table {path}; 'unseen study' writes one")
    try:
        rows: list[Values] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise CorruptFileError(f"{path} is not readable Parquet ({error}); delete it to measure it again") from error
    return rows


def _path(folder: Path, digest: str, suffix: str = ".parquet") -> Path:
    return folder / ROWS / f"{digest[:24]}{suffix}"


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    require_pyarrow()
    import pyarrow
    import pyarrow.parquet

    columns = dict.fromkeys(name for row in rows for name in row)
    arrays = {name: _array(pyarrow, [row.get(name) for row in rows]) for name in columns}
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(arrays), buffer)
    with write_whole(path) as temporary:
        temporary.write_bytes(buffer.getvalue().to_pybytes())


def _array(pyarrow: Any, values: list[Any]) -> Any:
    """A column: numbers together become floats, any other mixture JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [None if value is None else json.dumps(value) for value in values]
    return pyarrow.array(values, type=None if kinds else pyarrow.float64())
