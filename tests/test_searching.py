"""A search's toys on a cluster, from the command line and in a run: the same files, and faults before the work."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import unseen
from tests.test_cli import call
from tests.test_pipeline import small
from unseen import searching
from unseen.arrays import write_arrays
from unseen.errors import ClusterError
from unseen.workers import connect

CONFIG = {"simulate": {}, "search": {"n_centers": 20, "widths": [0.5, 1.0], "n_toys": 140}}
FILES = ("--reference", "R.npz", "--data", "D.npz", "--pool", "P.npz", "--config", "c.yaml", "--expected", "60")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    for name, n in (("R", 400), ("P", 300), ("D", 60)):
        write_arrays(tmp_path / f"{name}.npz", x=rng.normal(size=(n, 2)))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_search_on_a_cluster_writes_the_same_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "search", *FILES, "-o", "here.json", "-q") == 0
    assert call(monkeypatch, "search", *FILES, "-o", "there.json", "-q", "--cluster", "local", "--workers", "2") == 0
    assert (folder / "here.json").read_bytes() == (folder / "there.json").read_bytes()


@pytest.mark.usefixtures("folder")
def test_a_cluster_that_cannot_be_had_is_told_before_the_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Untouched(unseen.KernelTest):
        def fit(self, *_: Any, **__: Any) -> unseen.KernelTest:
            pytest.fail("the test was fitted")

    monkeypatch.setattr(searching, "KernelTest", Untouched)
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1)
    arguments = ("search", *FILES, "-o", "r.json", "-q", "--cluster")
    assert call(monkeypatch, *arguments, "tcp://127.0.0.1:1") == 2
    assert "ClusterError: no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
    assert call(monkeypatch, *arguments, "lokal") == 2
    assert "UnknownNameError: --cluster 'lokal' is unknown; did you mean 'local'?" in capsys.readouterr().err
    assert not Path("r.json").exists()


def test_the_search_of_a_run_on_a_cluster_writes_the_same_files(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(data_folder, tmp_path / "run")
    unseen.run(config, until="search")
    names = ("result.json", "search/result.json", "search/beside.json", "search/null.npz", "search/test.npz")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in names}
    shutil.rmtree(tmp_path / "run" / "search")
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        unseen.run(config, until="search", cluster="tcp://127.0.0.1:1")
    monkeypatch.undo()
    unseen.run(config, until="search", cluster="local", workers=2)
    for name in names:
        assert (tmp_path / "run" / name).read_bytes() == before[name], name
