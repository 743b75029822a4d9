"""A run with nuisance parameters, from stored events to a profiled p-value: small, but true in every part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

import unseen
from tests.killing import run_killed
from tests.test_cli import call
from unseen.arrays import read_arrays
from unseen.config import DataConfig
from unseen.errors import ClosureError
from unseen.report import ignored, nuisances
from unseen.report.verdict import context
from unseen.systematics import DensityRatio
from unseen.systematics_stage import auxiliary_measurements

STAGES = ("train", "embed", "systematics", "search", "report")


def small(data_folder: Path, out: Path, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": "small",
        "out": str(out),
        "seed": 3,
        "files": {"test": {n: [str(data_folder / f"{n}_more.h5")] for n in ("w", "qcd")}},
        "pools": {
            "mixture": {"w": 0.7, "qcd": 0.3},
            "train": 250,
            "settings": 50,
            "reference": 350,
            "toys": 250,
            "expected": 40,
        },
        "data": {"nu": {"jet-scale": 1.0}, "auxiliary": {"lepton-efficiency": 0.5}},
        "train": {"epochs": 2, "batch_size": 128},
        "systematics": {
            "nuisances": [
                {"name": "normalisation", "label": "lumi", "size": 0.1},
                "jet-scale",
                {"name": "lepton-efficiency", "prior": {"width": 2.0}},
            ],
            "ratio": {"events": 500, "held_out": 0.5, "n_centers": 40, "rank": 10, "width": 2.0, "penalty": 1e-2},
        },
        "search": {"n_toys": 30, "n_toys_beside": 20, "widths": [1.0, 2.0], "n_centers": 40},
    }
    return {**content, **changes}


@pytest.fixture(scope="module")
def finished(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "a"
    unseen.run(small(data_folder, out))
    return out


def content_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return content


def test_the_result_has_the_parameters_and_the_search_that_ignores_them(finished: Path) -> None:
    result = content_of(finished)
    said = result["checks"]["nuisances"]
    assert said["names"] == ["jet-scale", "lepton-efficiency", "lumi"]  # what is learned comes before what is known
    assert result["normalisation"] == "known"
    assert len(result["nu_hat"]) == len(result["nu_error"]) == len(said["pull"]) == 3
    assert said["ratio"]["limits"]["jet-scale"] == [-2.0, 2.0]
    assert said["ratio"]["closure"]["method"] == "kernel-test"
    # Measured: thrown around the truth (1, 0, 0) in units of the priors, unless it is said what.
    assert said["auxiliary"][1] == 0.25
    assert 1.0 != said["auxiliary"][0] == pytest.approx(1.0, abs=3.0)
    assert 0.0 != said["auxiliary"][2] == pytest.approx(0.0, abs=3.0)
    assert result["true_nu"] == {"jet-scale": 1.0}
    other = result["ignored"]
    assert (other["nu_hat"], other["normalisation"], other["n_toys"]) == (None, result["normalisation"], 20)
    assert result["beside"]["checks"]["nuisances"]["names"] == [*said["names"], "yield"]


def test_the_page_and_the_terminal_show_pulls_and_both_p_values(
    finished: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert 'id="nuisances"' in page
    assert ignored(content_of(finished)) in page.replace("≥", ">=")
    config = finished.parent / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, finished)))
    assert call(monkeypatch, "run", config) == 0
    said = capsys.readouterr()
    assert nuisances(content_of(finished)) in said.out
    assert ignored(content_of(finished)) in said.out
    assert "systematics unchanged, kept" in said.err


def test_the_folder_holds_the_ratio_that_was_used(finished: Path) -> None:
    ratio = DensityRatio.load(finished / "systematics" / "ratio")
    assert ratio.names == ("jet-scale", "lepton-efficiency", "lumi")
    np.testing.assert_allclose(ratio.limits, [[-2.0, 2.0]] * 3)  # in widths of the priors
    assert ratio.closure is not None
    assert ratio.closure.n_data == 40
    details = json.loads((finished / "systematics" / "systematics.json").read_text())
    assert {row["name"] for row in details["nuisances"]} == set(ratio.names)
    assert sum(part["selected"] for part in details["events"].values()) == 500
    assert all(part["stored"] > part["selected"] for part in details["events"].values())
    z = read_arrays(finished / "embed" / "reference.npz")["x"]
    assert ratio.sample_check(z, [0.0, 0.0, 1.0]).rate == pytest.approx(1.1)
    assert 0.5 < ratio.sample_check(z, [1.0, 0.0, 0.0]).rate < 2.0
    provenance = json.loads((finished / "provenance.json").read_text())
    assert set(STAGES) <= set(provenance["seconds"])


def test_the_embedding_is_kept_when_systematics_are_added(data_folder: Path, tmp_path: Path) -> None:
    plain = small(data_folder, tmp_path / "r", data={})
    section = plain.pop("systematics")
    unseen.run(plain, until="embed")
    before = {name: (tmp_path / "r" / name / "stage.json").stat().st_mtime_ns for name in ("train", "embed")}
    unseen.run({**plain, "systematics": section}, until="systematics")
    after = {name: (tmp_path / "r" / name / "stage.json").stat().st_mtime_ns for name in ("train", "embed")}
    assert before == after
    assert (tmp_path / "r" / "systematics" / "stage.json").is_file()


def test_a_ratio_that_does_not_close_stops_the_search_until_it_is_accepted(data_folder: Path, tmp_path: Path) -> None:
    """A penalty that leaves nothing of r but the rate, and jets of 3.6 times the momentum: the shift is seen."""
    content = small(data_folder, tmp_path / "r", data={})
    content["systematics"] = {
        "nuisances": [{"name": "jet-scale", "size": 0.9}],
        "ratio": {**content["systematics"]["ratio"], "penalty": 1e6},
    }
    with pytest.raises(ClosureError, match=r"closure \(kernel-test\) .*--accept-failed-closure"):
        unseen.run(content)
    assert (tmp_path / "r" / "systematics" / "ratio" / "ratio.json").is_file()
    assert not (tmp_path / "r" / "search").exists()
    content["systematics"]["closure"] = {"accept_failed": True}
    result = unseen.run(content, until="search")
    assert result is not None
    assert result.checks["nuisances"]["ratio"]["closure"]["accepted_failure"]
    assert "closure test of the density ratio failed, and that was accepted" in context(content_of(tmp_path / "r"))


def test_closure_is_that_of_all_embeddings_side_by_side(data_folder: Path, tmp_path: Path) -> None:
    """Two models of an ensemble, two widths each: one record with the worst of four."""
    content = small(data_folder, tmp_path / "r", data={})
    content["train"]["ensemble"] = 2
    content["search"]["widths"] = "percentile(50, 90)"
    unseen.run(content, until="systematics")
    ratio = DensityRatio.load(tmp_path / "r" / "systematics" / "ratio")
    assert ratio.closure is not None
    assert ratio.closure.method == "kernel-test"
    details = json.loads((tmp_path / "r" / "systematics" / "systematics.json").read_text(encoding="utf-8"))
    assert details["closure"]["nu"] == details["moments"]["nu"]


def test_a_run_killed_in_the_stage_continues_to_the_same_ratio(
    finished: Path, data_folder: Path, tmp_path: Path
) -> None:
    """Killed as soon as the stage has begun, then the same command again."""
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, tmp_path / "killed")))
    run_killed(config, tmp_path / "killed", "systematics")
    unseen.run(small(data_folder, tmp_path / "killed"), until="systematics")
    for name in ("systematics.json", "ratio/ratio.json", "ratio/ratio.safetensors"):
        path = Path("systematics") / name
        assert (tmp_path / "killed" / path).read_bytes() == (finished / path).read_bytes()


def test_measurements_of_pseudo_data_are_thrown_as_those_of_toys_are() -> None:
    """A unit Gaussian around the truth, in widths of the priors, whose tail beyond the ratio's range is not cut off."""
    data = DataConfig(nu={"a": 1.0}, auxiliary={"b": 1.0})
    rng, n = np.random.default_rng(1), 4000
    thrown = np.array([auxiliary_measurements(data, {"a": 0.5, "b": 4.0, "c": 1.0}, rng) for _ in range(n)])
    assert (thrown[:, 1] == 0.25).all()
    for column, true in ((0, 2.0), (2, 0.0)):
        assert stats.kstest(thrown[:, column] - true, "norm").pvalue > 1e-3
        assert len(np.unique(thrown[:, column])) == n
    still = auxiliary_measurements(DataConfig(), {"a": 0.5}, rng)
    assert still.tolist() == [0.0]


def test_distorted_data_are_searched_again_when_a_nuisance_changes(data_folder: Path, tmp_path: Path) -> None:
    def embedded(size: float) -> bytes:
        section = {"nuisances": [{"name": "jet-scale", "size": size}], "ratio": {"events": 300, "held_out": 0.7}}
        content = small(data_folder, tmp_path / "r", systematics=section, data={"nu": {"jet-scale": 1.0}})
        unseen.run(content, until="embed")
        return (tmp_path / "r" / "embed" / "data.npz").read_bytes()

    assert embedded(0.05) != embedded(0.2)
