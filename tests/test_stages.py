from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from unseen.arrays import read_arrays, write_arrays
from unseen.errors import ConfigError, CorruptFileError, MissingFileError
from unseen.seeds import generator, small_seed
from unseen.stages import locked, run_stage, stage_seconds


class Work:
    """Counts its runs; fails half-way when told to."""

    def __init__(self) -> None:
        self.runs, self.fail, self.found = 0, False, ""

    def __call__(self, folder: Path) -> None:
        self.runs += 1
        self.found = " ".join(sorted(p.name for p in folder.iterdir() if p.suffix == ".part"))
        (folder / "half.part").write_text("x")
        if self.fail:
            raise RuntimeError("killed")
        (folder / "out.txt").write_text("result")


def test_a_stage_runs_once_for_the_same_inputs(tmp_path: Path) -> None:
    work = Work()
    first = run_stage(tmp_path / "s", {"a": 1}, work, outputs=("out.txt",))
    second = run_stage(tmp_path / "s", {"a": 1}, work, outputs=("out.txt",))
    assert (work.runs, first[1], second[1]) == (1, False, True)
    assert first[0] == second[0]
    assert stage_seconds(tmp_path / "s") is not None


@pytest.mark.parametrize("damage", ["inputs", "output", "missing", "record"])
def test_a_stage_runs_again_when_anything_changed(tmp_path: Path, damage: str) -> None:
    work = Work()
    run_stage(tmp_path / "s", {"a": 1}, work, outputs=("out.txt",))
    if damage == "output":
        (tmp_path / "s" / "out.txt").write_text("other")
    if damage == "missing":
        (tmp_path / "s" / "out.txt").unlink()
    if damage == "record":
        (tmp_path / "s" / "stage.json").write_text("{")
    run_stage(tmp_path / "s", {"a": 2 if damage == "inputs" else 1}, work, outputs=("out.txt",))
    assert work.runs == 2


def test_what_a_killed_stage_left_is_kept_only_for_the_same_inputs(tmp_path: Path) -> None:
    work = Work()
    work.fail = True
    with pytest.raises(RuntimeError):
        run_stage(tmp_path / "s", {"a": 1}, work, outputs=("out.txt",))
    work.fail = False
    run_stage(tmp_path / "s", {"a": 1}, work, outputs=("out.txt",))
    assert work.found == "half.part"
    run_stage(tmp_path / "s", {"a": 2}, work, outputs=("out.txt",))
    assert work.found == ""
    run_stage(tmp_path / "s", {"a": 3}, work, outputs=("out.txt",), keep=True)
    assert work.found == "half.part"


def _hold(folder: Path, ready: object, release: object) -> None:
    with locked(folder):
        ready.set()
        release.wait(30)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, release))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(ConfigError, match="another run"), locked(tmp_path):
            pass
    finally:
        release.set()
        other.join()
    with locked(tmp_path):
        pass


def test_arrays_round_trip_and_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "z.npz"
    write_arrays(path, x=np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(read_arrays(path)["x"], np.arange(6.0).reshape(3, 2))
    write_arrays(tmp_path / "y.npz", x=np.arange(6.0).reshape(3, 2))
    assert path.read_bytes() == (tmp_path / "y.npz").read_bytes()
    with pytest.raises(CorruptFileError, match="no array 'weights'; it has"):
        read_arrays(path, needs=("weights",))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CorruptFileError, match=r"z\.npz"):
        read_arrays(path)
    with pytest.raises(MissingFileError):
        read_arrays(tmp_path / "none.npz")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    with pytest.raises(CorruptFileError, match="plain arrays"):
        read_arrays(tmp_path / "objects.npz")


def test_seed_paths_are_independent_and_stable() -> None:
    assert generator(1, "a", 0).integers(1 << 60) == generator(1, "a", 0).integers(1 << 60)
    seeds = {small_seed(root, name, i) for root in range(3) for name in "abc" for i in range(20)}
    assert len(seeds) == 180
    assert min(seeds) > 0
    assert json.dumps(small_seed(1, "x"))
