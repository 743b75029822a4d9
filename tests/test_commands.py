"""The array commands and the edges of the command line: what they pass on, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import unseen
from tests.test_cli import call
from unseen import searching
from unseen.arrays import read_arrays, write_arrays
from unseen.commands import search_arrays, unweighted
from unseen.embed import Model
from unseen.errors import (
    ConfigError,
    CorruptFileError,
    NegativeWeightError,
    NotEnoughEventsError,
    ShapeError,
    UnseenError,
    WeightError,
)
from unseen.events import ADC2021, read, select

CONFIG = {"search": {"n_centers": 30, "widths": [1.0], "n_toys": 20}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    write_arrays(tmp_path / "R.npz", x=rng.normal(size=(600, 2)))
    write_arrays(tmp_path / "P.npz", x=rng.normal(size=(400, 2)))
    write_arrays(tmp_path / "D.npz", x=rng.normal(size=(60, 2)))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def search(folder: Path, **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "reference": folder / "R.npz",
        "data": folder / "D.npz",
        "out": folder / "deep" / "result.json",
        "pool": folder / "P.npz",
        "expected": 60.0,
        "config": folder / "c.yaml",
        "toys": None,
        "seed": 1,
        "quiet": True,
    }
    return search_arrays(**(options | changes))


class Recorded(unseen.KernelTest):
    """The test, with what it was given kept for inspection."""

    seen: dict[str, Any]

    def fit(self, reference: Any, **options: Any) -> unseen.KernelTest:
        Recorded.seen = {"x": reference, **options}
        return super().fit(reference, **options)

    def calibrate(self, pool: Any, **options: Any) -> unseen.Null:
        Recorded.seen |= {"pool": pool, **{f"toy_{name}": value for name, value in options.items()}}
        return super().calibrate(pool, **options)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    monkeypatch.setattr(searching, "KernelTest", Recorded)
    return Recorded


def test_the_result_is_written_and_made_again_by_the_same_seed(folder: Path) -> None:
    first = search(folder)
    text = (folder / "deep" / "result.json").read_bytes()
    assert unseen.SearchResult.from_json(text.decode()).p_value == first["p_value"]
    assert search(folder) == first
    assert (folder / "deep" / "result.json").read_bytes() == text
    assert search(folder, seed=2)["t"] != first["t"]


def test_settings_come_from_the_configuration_and_the_options(folder: Path) -> None:
    result = search(folder)
    assert (result["widths"], result["n_toys"], result["expected"]) == ([1.0], 20, 60.0)
    assert result["checks"]["n_centers"] == 30
    assert search(folder, toys=15)["p_resolution"] == pytest.approx(1 / 16)
    assert search(folder, config=None, toys=10)["checks"]["n_centers"] > 30


def test_expected_defaults_to_the_weights_and_zero_is_an_error(folder: Path, seen: type[Recorded]) -> None:
    write_arrays(folder / "R.npz", x=np.random.default_rng(5).normal(size=(600, 2)), weights=np.full(600, 0.1))
    assert search(folder, expected=None)["expected"] == pytest.approx(60.0)
    assert search(folder, expected=None, pool=None)["expected"] == pytest.approx(60.0)  # also of the half that is left
    assert len(seen.seen["x"]) == 300
    with pytest.raises(ConfigError, match="expected"):
        search(folder, expected=0.0)


@pytest.mark.parametrize("pool", [True, False])
def test_an_expectation_that_was_assumed_is_told_where_it_does_not_fit(folder: Path, pool: bool) -> None:
    files = {} if pool else {"pool": None}
    with pytest.raises(NotEnoughEventsError, match=r"toys of 600 expected events.*was not given.* 600, was assumed"):
        search(folder, expected=None, **files)
    with pytest.raises(NotEnoughEventsError) as told:
        search(folder, expected=600, **files)
    assert "not given" not in str(told.value)
    (folder / "c.yaml").write_text(yaml.safe_dump({"search": {**CONFIG["search"], "normalisation": "free"}}))
    assert search(folder, expected=None, **files)["n_data"] == 60  # toys of shape alone have as many events as the data


def test_without_a_pool_half_of_the_reference_is_set_apart(folder: Path, seen: type[Recorded]) -> None:
    x = read_arrays(folder / "R.npz")["x"]
    search(folder, pool=None)
    reference, pool = seen.seen["x"], seen.seen["pool"]
    assert (len(reference), len(pool)) == (300, 300)
    np.testing.assert_array_equal(np.sort(np.concatenate([reference, pool]), axis=0), np.sort(x, axis=0))
    assert not np.isin(reference[:, 0], pool[:, 0]).any()
    assert not np.array_equal(pool, x[:300])
    search(folder, pool=None, seed=2)
    assert not np.array_equal(seen.seen["pool"], pool)


def test_weights_follow_their_events_through_the_split(folder: Path, seen: type[Recorded]) -> None:
    x = np.random.default_rng(1).uniform(1, 2, size=(1200, 2))
    write_arrays(folder / "R.npz", x=x, weights=x[:, 0])
    write_arrays(folder / "D.npz", x=np.random.default_rng(2).uniform(1, 2, size=(60, 2)))
    search(folder, pool=None)
    np.testing.assert_array_equal(seen.seen["weights"], seen.seen["x"][:, 0])
    pool = seen.seen["pool"]
    assert np.isin(pool[:, 0], x[:, 0]).all()
    # Unweighted: density x on 1..2 instead of flat, with a mean of 14/9 instead of 3/2, and 3/4 of 600 events kept.
    assert 390 < len(pool) < 510
    assert pool[:, 0].mean() == pytest.approx(14 / 9, abs=0.06)


def test_unweighting_samples_the_weighted_distribution() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(100_000, 1))
    kept = unweighted(x, 3 * x[:, 0] ** 2, rng)
    assert len(kept) == pytest.approx(len(x) / 3, rel=0.03)  # mean weight over largest weight
    assert [np.mean(kept**k) for k in (1, 2)] == pytest.approx([3 / 4, 3 / 5], abs=0.01)
    np.testing.assert_array_equal(unweighted(x, np.full(len(x), 0.2), rng), x)
    assert unweighted(np.arange(3.0), np.array([0.0, 1.0, 0.0]), rng).tolist() == [1.0]


def test_what_unweighting_leaves_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = read_arrays(folder / "P.npz")["x"]
    write_arrays(folder / "W.npz", x=pool, weights=np.where(np.arange(400) < 300, 1.0, 0.0))
    search(folder, pool=folder / "W.npz", quiet=False)
    assert "pool: 300 of 400 weighted events are left after unweighting" in capsys.readouterr().err
    assert search(folder, pool=folder / "W.npz")["checks"]["n_pool"] == 300


def test_how_toys_treat_the_reference_can_be_configured(folder: Path, seen: type[Recorded]) -> None:
    search(folder)
    assert seen.seen["toy_reference"] == "auto"
    (folder / "c.yaml").write_text(yaml.safe_dump({**CONFIG, "search": {**CONFIG["search"], "toy_reference": "fixed"}}))
    assert search(folder)["checks"]["toy_reference"] == "fixed"


@pytest.mark.parametrize(
    ("file", "arrays", "error", "message"),
    [
        ("R", {"x": np.ones((600, 2)), "weights": np.ones(5)}, WeightError, "the weights of the reference"),
        ("R", {"x": np.ones((600, 2)), "weights": -np.ones(600)}, NegativeWeightError, "negative"),
        ("R", {"z": np.ones((600, 2))}, CorruptFileError, "no array 'x'"),
        ("R", {"x": np.float64(3.0)}, ShapeError, "reference"),
        ("D", {"x": np.ones((60, 3))}, ShapeError, "3 features"),
        ("D", {"x": np.zeros((0, 2))}, NotEnoughEventsError, "data has no events"),
        ("D", {"x": np.ones((60, 2)), "weights": np.arange(60.0)}, WeightError, "data are counted"),
        ("P", {"x": np.ones((400, 2)), "weights": np.zeros(400)}, WeightError, "the weights of the pool"),
        ("P", {"x": np.random.default_rng(3).normal(size=(40, 2))}, NotEnoughEventsError, "the pool has 40 events"),
    ],
)
def test_arrays_that_cannot_be_tested_are_named(
    folder: Path, file: str, arrays: dict[str, Any], error: type[UnseenError], message: str
) -> None:
    write_arrays(folder / f"{file}.npz", **arrays)
    with pytest.raises(error, match=message):
        search(folder)
    assert not (folder / "deep").exists()


def test_search_prints_the_verdict_unless_quiet_and_uses_the_threads_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.chdir(folder)
    files = ("search", "--reference", "R.npz", "--data", "D.npz", "--pool", "P.npz", "--config", "c.yaml")
    options = ("--expected", "60", "-o", "result.json", "--workers", "2")
    assert call(monkeypatch, *files, *options) == 0
    assert capsys.readouterr().out.strip() == unseen.report.verdict(
        json.loads(Path("result.json").read_text()), "reference"
    )
    assert threads[0] == 2  # the engine sets and restores the number while it runs
    threads.clear()
    assert call(monkeypatch, *files, *options, "--quiet") == 0
    assert threads[0] == 2
    assert capsys.readouterr() == ("", "")
    assert call(monkeypatch, *files, *options[:-2], "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["n_data"], summary["out"]) == (60, "result.json")


def test_embed_uses_the_layout_and_selection_of_the_model(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = ADC2021.model_copy(
        update={"selection": ADC2021.selection.model_copy(update={"all_of": ADC2021.selection.any_of[1:]})}
    )

    class Trained:
        schema = tight

        def embed(self, events: Any) -> np.ndarray:
            return events.get("met", "pt")

    threads: list[int] = []
    monkeypatch.setattr(Model, "load", lambda folder: Trained())
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    out = tmp_path / "z.npz"
    assert call(monkeypatch, "embed", "model", data_folder / "w.h5", "-o", out, "--workers", "3", "--quiet") == 0
    assert threads == [3]
    everything = read(data_folder / "w.h5")
    kept = select(everything, tight.selection)
    assert 0 < len(kept) < len(select(everything))
    arrays = read_arrays(out)
    np.testing.assert_array_equal(arrays["x"], kept.get("met", "pt"))
    assert (arrays["weights"].shape, arrays["label_names"].tolist()) == ((len(kept),), ["w"])
    assert call(monkeypatch, "embed", "model", data_folder / "w.h5", "-o", out, "--no-select", "--quiet") == 0
    assert len(read_arrays(out)["x"]) == len(everything)


def fake_run(out: Path, result: dict[str, Any]) -> Any:
    def run(path: Path, **options: Any) -> object:
        (out / "result.json").write_text(json.dumps(result))
        return object()

    return run


RESULT = {
    "p_value": 0.43,
    "z": 0.176,
    "z_interval": [0.1, 0.3],
    "p_resolution": 1 / 1001,
    "converged": True,
    "n_toys": 1000,
    "beside": {"p_value": 0.02, "z": 2.054, "n_toys": 200, "normalisation": "free"},
}


def test_run_prints_the_verdict_and_then_the_other_normalisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("unseen.pipeline.run", fake_run(tmp_path, RESULT))
    assert call(monkeypatch, "run", "c.yaml", "--out", tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No disagreement found: p = 0.43 (Z = 0.2).",
        "With free normalisation (shape only; 200 toys): p = 0.020, Z = 2.1.",
        f"page: {tmp_path / 'report.html'}",
    ]
    assert call(monkeypatch, "run", "c.yaml", "--out", tmp_path, "--quiet") == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("unseen.pipeline.run", fake_run(tmp_path, RESULT | {"beside": None}))
    assert call(monkeypatch, "run", "c.yaml", "--out", tmp_path) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("no such thing"), 2, "ConfigError: no such thing\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "PermissionError: Permission denied: /x\n"),
        (NotADirectoryError(20, "Not a directory", "/f/x"), 2, "NotADirectoryError: Not a directory: /f/x\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("unseen.pipeline.run", fail)
    assert call(monkeypatch, "run", "c.yaml") == code
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("unseen.pipeline.run", fail)
    with pytest.raises(ZeroDivisionError):
        call(monkeypatch, "run", "c.yaml")


def test_a_run_folder_that_is_a_file_is_a_users_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_folder: Path
) -> None:
    files = {"test": {"w": [str(data_folder / "w_more.h5")]}}
    content = {"files": files, "pools": {"mixture": {"w": 1.0}}, "train": {"labels": "final-state"}}
    (folder / "f.yaml").write_text(yaml.safe_dump(content))
    assert call(monkeypatch, "run", folder / "f.yaml", "--out", folder / "R.npz") == 2
    assert "R.npz" in capsys.readouterr().err


def test_two_different_configurations_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "run", "a.yaml", "--config", "b.yaml") == 2
    assert "name one configuration file" in capsys.readouterr().err
    assert call(monkeypatch, "search", "--reference", "R.npz", "--data", "D.npz", "-o", "x", "--workers", "0") == 2
    assert "--workers" in capsys.readouterr().err
