from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import unseen
from tests.test_pipeline import small
from unseen.cli import main
from unseen.embed import TrainingConfig, train


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["unseen", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_of_every_command_has_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    listed = capsys.readouterr().out
    for name in ("run", "simulate", "train", "embed", "export", "search", "report", "probe", "config"):
        assert name in listed
        assert call(monkeypatch, name, "--help") == 0
        assert f"Example: unseen {name}" in capsys.readouterr().out


def test_run_embed_and_search_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, tmp_path / "ignored")))
    assert call(monkeypatch, "run", config, "--out", tmp_path / "r", "--seed", "5", "--quiet", "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["p_value"] == json.loads((tmp_path / "r" / "result.json").read_text())["p_value"]
    assert Path(summary["report"]).is_file()
    assert not (tmp_path / "ignored").exists()

    for name in ("w_more", "qcd_more", "w"):
        out = tmp_path / f"{name}.npz"
        assert call(monkeypatch, "embed", tmp_path / "r" / "train", data_folder / f"{name}.h5", "-o", out) == 0
    z = np.load(tmp_path / "w.npz")
    assert z["x"].shape == (len(unseen.read(data_folder / "w.h5", select=True)), 4)
    capsys.readouterr()
    files = ("--reference", tmp_path / "w_more.npz", "--data", tmp_path / "w.npz", "--pool", tmp_path / "qcd_more.npz")
    options = ("--expected", "130", "--toys", "40", "-o", tmp_path / "result.json", "--json", "--quiet")
    assert call(monkeypatch, "search", *files, *options) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["n_data"] == len(z["x"])
    assert unseen.SearchResult.from_json((tmp_path / "result.json").read_text()).p_value == summary["p_value"]


def test_config_prints_every_default_and_the_schema(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, tmp_path / "r")))
    assert call(monkeypatch, "config", config) == 0
    resolved = yaml.safe_load(capsys.readouterr().out)
    assert resolved["search"]["n_centers"] == 1000
    assert call(monkeypatch, "config") == 0
    assert "pools" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nowhere.yaml"), "MissingFileError: no configuration file nowhere.yaml"),
        (("run",), "ConfigError: name one configuration file"),
        (("embed", "nowhere", "w.h5", "-o", "z.npz"), "MissingFileError"),
        (("search", "--reference", "a.npz", "--data", "b.npz", "-o", "c.json"), "MissingFileError: no file a.npz"),
        (("rum",), "rum"),
        (("run", "--sede", "3"), "--sede"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_typo_in_the_configuration_is_suggested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("simulate: {}\nsearch: {n_toy: 10}\n")
    assert call(monkeypatch, "run", tmp_path / "c.yaml") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'n_toys'?" in error


def test_a_cluster_embeds_the_same_and_nonsense_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_folder: Path, tmp_path: Path
) -> None:
    events = unseen.Events.concatenate([unseen.read(data_folder / f"{name}.h5") for name in ("w", "qcd")])
    train(events, TrainingConfig.parse({"epochs": 1, "device": "cpu"}), tmp_path / "model", seed=1)
    for name, options in (("here", ("--workers", "1")), ("there", ("--workers", "1", "--cluster", "local"))):
        out = tmp_path / f"{name}.npz"
        assert call(monkeypatch, "embed", tmp_path / "model", data_folder / "w.h5", "-o", out, *options, "-q") == 0
    here, there = np.load(tmp_path / "here.npz"), np.load(tmp_path / "there.npz")
    assert set(here) == set(there)
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small(data_folder, tmp_path / "out")))
    assert call(monkeypatch, "run", config, "--cluster", "lokal") == 2
    assert "UnknownNameError: --cluster 'lokal' is unknown; did you mean 'local'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
