"""The page on systematics of a run, and what its stages keep for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unseen
from tests.test_pipeline_systematics import small
from unseen import systematics_response
from unseen.arrays import read_arrays, write_arrays
from unseen.config_systematics import RunSystematics
from unseen.rivals import supervised
from unseen.systematics import Block, RatioSamples
from unseen.systematics_response import signal_overlaps, write_response


def with_signal(data_folder: Path, out: Path) -> dict[str, Any]:
    content = small(data_folder, out)
    files = {**content["files"]["test"], "ato4l": [str(data_folder / "ato4l.h5")]}
    rows = ["jet-scale", {"name": "lepton-efficiency", "prior": {"width": 2.0}}]
    content["systematics"] = {**content["systematics"], "nuisances": rows}
    content["data"] = {"nu": {"jet-scale": 1.0}}
    return {**content, "files": {"test": files}, "train": {"epochs": 1, "batch_size": 128}}


@pytest.fixture(scope="module")
def finished(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "a"
    with pytest.MonkeyPatch.context() as patch:  # the sample has 95 signal events
        for module in (supervised, systematics_response):
            patch.setattr(module, "MIN_EVENTS", 40)
        unseen.run(with_signal(data_folder, out))
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_run_has_the_page_and_its_report_links_to_it(finished: Path) -> None:
    page = (finished / "systematics.html").read_text(encoding="utf-8")
    assert page == (finished / "report" / "systematics.html").read_text(encoding="utf-8")
    for name in ("significance", "pulls", "densities", "flow", "overlap", "trust"):
        assert f'<section id="{name}"' in page
    assert "Diamonds: the truth" in page
    assert 'href="systematics.html"' in (finished / "report.html").read_text(encoding="utf-8")


def test_the_stage_keeps_the_same_events_at_every_value(finished: Path) -> None:
    kept = read_arrays(finished / "systematics" / "response.npz")
    n = len(kept["z"])
    assert kept["z_at"].shape == (2, 2, n, 4)
    assert kept["values"].tolist() == [-2.0, 2.0]
    selected = kept["weight"] > 0
    jets, efficiency = kept["z_at"], kept["weight_at"][1]
    assert np.abs(jets[0, 1] - jets[0, 0])[selected].max() > 0
    np.testing.assert_allclose(jets[1, :, selected], kept["z"][selected][:, None].repeat(2, axis=1), atol=1e-6)
    ratio = efficiency[1, selected] / efficiency[0, selected]  # four priors' widths of 2 apart: at least one lepton
    assert ratio.min() > 1.0


def test_overlaps_and_impacts_are_those_of_the_run(finished: Path) -> None:
    (found,) = read(finished / "systematics" / "overlaps.json")["overlaps"]
    assert found["signal"] == "ato4l"
    assert found["names"] == ["jet-scale", "lepton-efficiency"]
    assert all(-1 <= value <= 1 for value in found["cosine"])
    full, *frozen = read(finished / "search" / "impact.json")
    assert (full["name"], full["dz"]) == ("", 0.0)
    assert {row["name"] for row in frozen} == {"jet-scale", "lepton-efficiency"}
    assert [abs(row["dz"]) for row in frozen] == sorted((abs(row["dz"]) for row in frozen), reverse=True)
    assert all(row["n_toys"] == 20 and 0 < row["p_value"] <= 1 for row in (full, *frozen))


def test_one_parameter_is_frozen_and_the_page_goes_when_the_systematics_go(data_folder: Path, tmp_path: Path) -> None:
    content = with_signal(data_folder, tmp_path / "r")
    content["systematics"] = {"nuisances": ["jet-scale"], "ratio": content["systematics"]["ratio"]}
    unseen.run(content, until="search")
    full, frozen = read(tmp_path / "r" / "search" / "impact.json")  # none is left to profile
    assert (full["name"], frozen["name"]) == ("", "jet-scale")
    notes = read(tmp_path / "r" / "systematics" / "overlaps.json")["notes"]
    assert notes == ["Of ato4l there are 95 simulated events beside the data; 200 are needed."]
    (tmp_path / "r" / "systematics.html").write_text("of before")
    unseen.run({**content, "systematics": None, "data": {}})
    assert not (tmp_path / "r" / "systematics.html").exists()
    assert "systematics.html" not in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("impact", "n", "ranked"), [("auto", 5, True), ("auto", 6, False), (True, 6, True), (False, 1, False)]
)
def test_impact_is_asked_for_where_it_costs_much(impact: Any, n: int, ranked: bool) -> None:
    rows = [{"name": "normalisation", "label": f"n{i}", "size": 0.1} for i in range(n)]
    assert RunSystematics.model_validate({"nuisances": rows, "impact": impact}).ranks_impact is ranked


def test_many_events_are_drawn_from_and_stay_the_same_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systematics_response, "MOST_EVENTS", 50)
    z = np.arange(200.0)[:, None]
    rows = np.arange(20, 200)  # events below are selected nowhere

    def at(*nu: float) -> Block:
        return Block(np.array(nu), z[rows] + sum(nu), event=rows)

    points = [at(2.0, 0.0), at(-2.0, 0.0), at(0.5, 0.0), at(0.0, 2.0), at(0.0, -2.0), at(1.0, 9.0)]
    samples = RatioSamples.of(z[rows], points, ("a", "b"), event=rows)
    write_response(tmp_path / "r.npz", samples, seed=1)
    kept = read_arrays(tmp_path / "r.npz")
    assert len(kept["z"]) == 50
    assert kept["values"].tolist() == [-2.0, 2.0]
    assert kept["z"].min() >= 20  # selected somewhere
    np.testing.assert_array_equal(kept["z_at"][:, :, :, 0] - kept["z"][:, 0], [[[-2.0] * 50, [2.0] * 50]] * 2)


def test_a_signal_that_is_a_shift_looks_like_it(tmp_path: Path) -> None:
    """Background N(0, 1), signal N(1, 1): exp(z - 1/2) - 1 has the cosine (e - 1)^(-1/2) = 0.763 with delta = z."""
    rng = np.random.default_rng(2)
    for name, n in (("toys", 3000), ("reference", 6000)):
        write_arrays(tmp_path / f"{name}.npz", x=rng.normal(size=(n, 1)))
    signals = {"shift": rng.normal(1.0, 1.0, size=(3000, 1)), "few": np.zeros((3, 1))}
    found = signal_overlaps(tmp_path, signals, lambda z: z, 1000.0, False, seed=1)
    (row,) = found["overlaps"]
    assert row["cosine"][0] == pytest.approx(0.763, abs=0.06)  # the learned ratio is good to some per cent
    assert found["notes"] == ["Of few there are 3 simulated events beside the data; 200 are needed."]
