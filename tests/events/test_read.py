from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from unseen.errors import CorruptFileError, MissingFileError, NonFiniteError, SchemaError
from unseen.events import ADC2021, Events, Sample, read, write_shard
from unseen.events.adc2021 import read_adc2021


def test_the_adc2021_layout(data_folder: Path) -> None:
    events = read(data_folder / "w.h5")
    assert len(events) == 150
    assert events.label_names == ("w",)
    assert events.has("met").all()
    assert np.abs(events.get("muons", "eta")).max() < 2.4
    with h5py.File(data_folder / "w.h5") as file:
        np.testing.assert_array_equal(events.objects, file["Particles"][:, :, :3])


def test_the_same_row_has_the_same_source_in_every_reading(data_folder: Path) -> None:
    whole = read_adc2021(data_folder / "w.h5")
    part = read_adc2021(data_folder / "w.h5", process="other", rows=slice(50, 60))
    np.testing.assert_array_equal(part.record["source"], whole.record["source"][50:60])
    assert not np.isin(read(data_folder / "qcd.h5").record["source"], whole.record["source"]).any()


def test_samples_shards_and_files_read_the_same(tmp_path: Path, w_events: Events) -> None:
    Sample.write(tmp_path / "s", w_events)
    write_shard(tmp_path / "one.h5", w_events)
    assert read(tmp_path / "s") == read(tmp_path / "one.h5") == w_events
    assert len(read(tmp_path / "s", select=True)) < len(w_events)


def _write(path: Path, values: np.ndarray, name: str = "Particles") -> Path:
    with h5py.File(path, "w") as file:
        file[name] = values
    return path


def test_bad_files_are_named(tmp_path: Path, data_folder: Path, w_events: Events) -> None:
    with pytest.raises(MissingFileError, match=r"did you mean 'w\.h5'"):
        read(data_folder / "ww.h5")
    truncated = tmp_path / "cut.h5"
    truncated.write_bytes((data_folder / "w.h5").read_bytes()[:2000])
    with pytest.raises(CorruptFileError, match=r"cut\.h5"):
        read(truncated)
    with pytest.raises(SchemaError, match="neither 'Particles'"):
        read(_write(tmp_path / "other.h5", np.zeros(3), "Jets"))
    with pytest.raises(SchemaError, match="shape"):
        read(_write(tmp_path / "narrow.h5", np.zeros((3, 18, 4))))
    (tmp_path / "x.csv").touch()
    with pytest.raises(SchemaError, match=r"cannot read '\.csv'"):
        read(tmp_path / "x.csv")
    write_shard(tmp_path / "s.h5", w_events)
    with (tmp_path / "s.h5").open("ab") as handle:
        handle.write(b"tail")
    with pytest.raises(CorruptFileError, match="sidecar"):
        read(tmp_path / "s.h5")


def test_bad_values_are_named(tmp_path: Path) -> None:
    values = np.zeros((2, 19, 4), np.float32)
    values[:, 0] = (10, 0, 0, 1)
    values[1, 3] = (np.nan, 0, 0, 2)
    with pytest.raises(NonFiniteError, match="event 1, slot 3: pt is nan"):
        read(_write(tmp_path / "nan.h5", values))
    values[1, 3] = (10, 0, 0, 3)
    with pytest.raises(SchemaError, match="event 1, slot 3 has type 3, expected 2"):
        read(_write(tmp_path / "type.h5", values))


def test_the_schema_asked_for_must_be_the_one_found(tmp_path: Path, w_events: Events) -> None:
    layout = "name: m\ncollections: [{name: met, slots: 1, type: 1}]\n"
    (tmp_path / "m.yaml").write_text(layout)
    write_shard(tmp_path / "s.h5", w_events)
    with pytest.raises(SchemaError, match="'adc2021', not 'm'"):
        read(tmp_path / "s.h5", schema=str(tmp_path / "m.yaml"))
    assert read(tmp_path / "s.h5", schema=ADC2021) == w_events
