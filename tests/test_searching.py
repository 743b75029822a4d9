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
from unseen.commands import search_arrays
from unseen.config import SearchConfig, load_search
from unseen.errors import ClusterError, ShapeError
from unseen.power.rival import Samples
from unseen.power.setup import fitted_kernel
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


def test_every_setting_of_the_test_can_be_configured() -> None:
    """But the seed, which a run has of its own, and `standardise`: arrays that need none may be passed as they are."""
    said: dict[str, Any] = {
        "widths": (0.5, 2.0),
        "n_centers": 20,
        "penalty": 1e-4,
        "normalisation": "free",
        "statistic": "linear",
        "combination": "fisher",
        "embeddings": (2, 1),
        "rank_tolerance": 0.0,
        "memory_budget": 1.0,
        "precision": "float64",
        "device": "auto",
    }
    test = searching.kernel_test(SearchConfig(**said), seed=5)
    assert test.options == said | {"seed": 5, "standardise": True}
    assert searching.kernel_test(SearchConfig(**said), 5, "known", (3, 3)).embeddings == (3, 3)
    assert (
        searching.kernel_test(SearchConfig(), 0).options == unseen.KernelTest(normalisation="constrained(0.05)").options
    )


def test_embeddings_side_by_side_are_searched_and_studied(folder: Path) -> None:
    (folder / "c.yaml").write_text(yaml.safe_dump({"search": CONFIG["search"] | {"embeddings": [1, 1]}}))
    found = search_arrays(*(folder / f"{name}.npz" for name in ("R", "D")), folder / "r.json", folder / "P.npz", 60.0,
                          folder / "c.yaml", 20, 1, True)  # fmt: skip
    assert found["widths"] == [0.5, 1.0] * 2
    x = np.random.default_rng(1).normal(size=(700, 2))
    samples = Samples(x[:100], x[100:400], x[400:], {"bump": x[:20] + 3.0}, 60.0)
    assert fitted_kernel(load_search(folder / "c.yaml"), samples, seed=1).candidate.columns == 4
    (folder / "c.yaml").write_text(yaml.safe_dump({"search": {"embeddings": [1, 2]}}))
    with pytest.raises(ShapeError, match="need 3 features, the reference has 2"):
        search_arrays(folder / "R.npz", folder / "D.npz", folder / "r.json", folder / "P.npz", 60.0,
                      folder / "c.yaml", 20, 1, True)  # fmt: skip


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
