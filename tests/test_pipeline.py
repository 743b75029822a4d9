"""The whole path on real simulated events from files: small, but true in every part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

import unseen
from tests.killing import run_killed
from unseen.commands import embed_file
from unseen.config import parse_config
from unseen.errors import (
    ConfigError,
    MissingFileError,
    NotEnoughEventsError,
    OverlapError,
    UnknownProcessError,
)

STAGES = ("train", "embed", "search", "report")


def small(data_folder: Path, out: Path, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": "small",
        "out": str(out),
        "seed": 3,
        "files": {
            "test": {
                "w": [str(data_folder / "w_more.h5")],
                "qcd": [str(data_folder / "qcd_more.h5")],
                "ato4l": [str(data_folder / "ato4l.h5")],
            }
        },
        "pools": {
            "mixture": {"w": 0.65, "qcd": 0.35},
            "train": 400,
            "settings": 100,
            "reference": 500,
            "toys": 150,
            "expected": 60,
        },
        "data": {"signal": {"process": "ato4l", "events": 15}},
        "train": {"epochs": 4, "batch_size": 128},
        "search": {"n_toys": 60, "widths": [0.5, 1.5]},
    }
    return {**content, **changes}


@pytest.fixture(scope="module")
def finished(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "a"
    unseen.run(small(data_folder, out))
    return out


def result_of(out: Path) -> str:
    return (out / "result.json").read_text(encoding="utf-8")


def test_a_run_leaves_what_the_documentation_promises(finished: Path) -> None:
    result = json.loads(result_of(finished))
    for key in (
        "p_value",
        "z",
        "z_interval",
        "p_resolution",
        "calibration",
        "widths",
        "n_reference",
        "n_data",
        "converged",
    ):
        assert key in result, key
    assert result["p_resolution"] == pytest.approx(1 / 61)
    assert result["n_reference"] == 500
    assert result["beside"]["normalisation"] == "free"
    assert result["hidden_signal"] == {"process": "ato4l", "events": 15}
    assert 0 < result["probe"]["accuracy"] <= 1
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    provenance = json.loads((finished / "provenance.json").read_text())
    assert set(STAGES) <= set(provenance["seconds"])
    assert parse_config(yaml.safe_load((finished / "config.yaml").read_text())).seed == 3


def test_the_saved_model_and_test_reproduce_the_scores(finished: Path, data_folder: Path) -> None:
    model = unseen.load(finished / "train")
    z = model.embed(unseen.read(data_folder / "w.h5", select=True))
    assert z.dtype == np.float32
    assert z.shape[1] == 4
    test = unseen.KernelTest.load(finished / "search" / "test.npz")
    data = np.load(finished / "embed" / "data.npz")["x"]
    np.testing.assert_allclose(test.score(data), np.load(finished / "search" / "null.npz")["f_data"])


def test_a_run_with_several_models_gives_one_p_value(data_folder: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "batch_size": 128, "ensemble": 2}
    result = unseen.run(small(data_folder, tmp_path / "run", train=settings))
    assert result is not None
    assert len(result.widths) == 4  # two of each embedding
    assert 0.0 < result.p_value <= 1.0
    model = unseen.load(tmp_path / "run" / "train")
    assert isinstance(model, unseen.Ensemble)
    events = unseen.read(data_folder / "w.h5")
    embed_file(tmp_path / "run" / "train", data_folder / "w.h5", tmp_path / "z.npz", False, None, None, True)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npz")["x"][:, 4:], model.members["seed-1"].embed(events))


def test_equal_seeds_give_equal_results_and_others_do_not(finished: Path, data_folder: Path, tmp_path: Path) -> None:
    unseen.run(small(data_folder, tmp_path / "b"))
    assert result_of(tmp_path / "b") == result_of(finished)
    unseen.run(small(data_folder, tmp_path / "c"), seed=4, until="search")
    assert result_of(tmp_path / "c") != result_of(finished)


def test_unchanged_stages_are_kept_and_changed_ones_run_again(data_folder: Path, tmp_path: Path) -> None:
    unseen.run(small(data_folder, tmp_path / "r"), until="embed")
    before = {name: (tmp_path / "r" / name / "stage.json").stat().st_mtime_ns for name in ("train", "embed")}
    unseen.run(small(data_folder, tmp_path / "r", search={"n_toys": 40, "widths": [1.0]}))
    after = {name: (tmp_path / "r" / name / "stage.json").stat().st_mtime_ns for name in ("train", "embed")}
    assert before == after
    unseen.run(small(data_folder, tmp_path / "r", train={"epochs": 3, "batch_size": 128}), until="embed")
    assert (tmp_path / "r" / "embed" / "stage.json").stat().st_mtime_ns > before["embed"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_in_any_stage_continues_to_the_same_result(
    finished: Path, data_folder: Path, tmp_path: Path, stage: str
) -> None:
    """Killed as soon as the stage has begun, then the same command again."""
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, tmp_path / "killed")))
    run_killed(config, tmp_path / "killed", stage)
    assert not (tmp_path / "killed" / "report.html").exists()
    unseen.run(small(data_folder, tmp_path / "killed"))
    assert result_of(tmp_path / "killed") == result_of(finished)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"pools": {"toys": 100, "expected": 90}}, NotEnoughEventsError, r"pools\.toys is 100"),
        ({"pools": {"reference": 5000}}, NotEnoughEventsError, r"'qcd' has .* independent events"),
        ({"data": {"signal": {"process": "ato4", "events": 2}}}, UnknownProcessError, "did you mean 'ato4l'"),
        ({"data": {"file": "nowhere.h5"}}, MissingFileError, r"nowhere\.h5"),
        ({"files": {"test": {"w": ["none.h5"], "qcd": ["none.h5"]}}}, MissingFileError, r"files\.test\.w"),
        ({"schema": "adc2012"}, MissingFileError, "did you mean 'adc2021'"),
    ],
)
def test_bad_input_is_named_before_training_starts(
    data_folder: Path, tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    content = small(data_folder, tmp_path / "bad")
    for section, values in change.items():
        merge = isinstance(values, dict) and section == "pools"
        content[section] = {**content[section], **values} if merge else values
    with pytest.raises(error, match=message):
        unseen.run(content)
    assert not (tmp_path / "bad" / "train").exists()


def test_data_that_are_also_simulation_are_refused(data_folder: Path, tmp_path: Path) -> None:
    content = small(data_folder, tmp_path / "x", data={"file": str(data_folder / "w_more.h5")})
    with pytest.raises(OverlapError, match=r"share .* generated events"):
        unseen.run(content)


def test_real_data_from_a_file(data_folder: Path, tmp_path: Path) -> None:
    result = unseen.run(small(data_folder, tmp_path / "x", data={"file": str(data_folder / "w.h5")}), until="search")
    assert result is not None
    assert result.n_data == len(unseen.read(data_folder / "w.h5", select=True))


def test_damaged_data_files_are_named(data_folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "nan.h5"
    with h5py.File(data_folder / "w.h5") as source, h5py.File(bad, "w") as target:
        values = source["Particles"][:]
        values[3, 0, 0] = np.nan
        target["Particles"] = values
    with pytest.raises(unseen.errors.NonFiniteError, match="event 3, slot 0: pt is nan"):
        unseen.run(small(data_folder, tmp_path / "x", data={"file": str(bad)}))


def test_an_unknown_stage_is_named(data_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        unseen.run(small(data_folder, tmp_path / "x"), until="trian")
