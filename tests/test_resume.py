"""What a stage leaves behind when it fails, and what makes it run again, beyond changed inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unseen.errors import ConfigError
from unseen.stages import digest, run_stage, stage_seconds


def write(*names: str) -> object:
    def work(folder: Path) -> None:
        for name in names:
            (folder / name).write_text(name)

    return work


def test_an_output_that_an_older_version_did_not_record_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    run_stage(folder, {"a": 1}, write("one"), outputs=("one",))
    _, skipped = run_stage(folder, {"a": 1}, write("one", "two"), outputs=("one", "two"))
    assert not skipped
    assert (folder / "two").is_file()
    record = json.loads((folder / "stage.json").read_text())
    (folder / "stage.json").write_text(json.dumps({"key": record["key"]}))
    assert not run_stage(folder, {"a": 1}, write("one", "two"), outputs=("one", "two"))[1]


def test_work_that_fails_on_its_input_leaves_no_folder(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise ConfigError("bad input")

    def half(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ConfigError("bad input")

    with pytest.raises(ConfigError):
        run_stage(tmp_path / "s", {}, refuse, outputs=("one",))
    assert not (tmp_path / "s").exists()
    with pytest.raises(ConfigError):
        run_stage(tmp_path / "s", {}, half, outputs=("one",))
    assert (tmp_path / "s" / "half").is_file()
    assert stage_seconds(tmp_path / "s") is None


def test_the_hash_of_a_stage_stands_for_the_content_of_its_outputs(tmp_path: Path) -> None:
    first, _ = run_stage(tmp_path / "a", {"a": 1}, write("one"), outputs=("one",))
    same, _ = run_stage(tmp_path / "b", {"a": 2}, write("one"), outputs=("one",))
    other, _ = run_stage(tmp_path / "c", {"a": 1}, write("one", "two"), outputs=("one", "two"))
    assert first == same != other
    assert digest({"a": 1, "b": [2, {"c": 3, "d": 4}]}) == digest({"b": [2, {"d": 4, "c": 3}], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
