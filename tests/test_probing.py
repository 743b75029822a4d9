"""`unseen probe` on real simulated events."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

import unseen
from tests.test_cli import call
from unseen.config import ADC2021_MIXTURE
from unseen.embed import Evaluation, TrainingConfig, train
from unseen.errors import ConfigError
from unseen.probing import mixture_of


@pytest.fixture(scope="module")
def model(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    events = unseen.Events.concatenate([unseen.read(data_folder / f"{name}.h5") for name in ("w", "qcd")])
    train(events, TrainingConfig.parse({"epochs": 1, "device": "cpu"}), folder, seed=1)
    return folder


def test_a_table_a_file_and_a_figure(
    model: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = (data_folder / "w_more.h5", f"jets={data_folder / 'qcd_more.h5'}", data_folder / "ato4l.h5")
    options = ("--mixture", "w=0.65,jets=0.35", "--signal", data_folder / "ato4l.h5", "--seed", "2", "--workers", "1")
    for name in ("one", "two"):
        figure = ("--figure", tmp_path / f"{name}.png")
        assert call(monkeypatch, "probe", model, *files, *options, *figure, "-o", tmp_path / f"{name}.json") == 0
    printed = capsys.readouterr().out
    for words in ("weighted to w 65 %, jets 35 %", "AUC jets", "inputs, trees", " ± ", "effective rank: "):
        assert words in printed
    content = json.loads((tmp_path / "one.json").read_text())
    found = Evaluation.from_json({k: v for k, v in content.items() if k not in ("model", "files")})
    assert found.mixture == pytest.approx({"w": 0.65, "jets": 0.35})
    assert set(found.events) == {"w", "jets"}
    # Trees on the inputs of W and QCD do better than the share of W, by more than an accident of the scored events.
    assert found.raw["trees"].accuracy > 0.65 + 4 * found.raw["trees"].accuracy_error
    for ending in ("json", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert min(picture.size) >= 1000


def test_without_a_mixture_signals_are_left_out_and_json_is_the_last_line(
    model: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [data_folder / f"{name}.h5" for name in ("w_more", "qcd_more", "ato4l")]
    options = ("--signal", files[2], "--no-raw", "--json", "--figure", tmp_path / "c.pdf", "-o", tmp_path / "p.json")
    assert call(monkeypatch, "probe", model, *files, *options) == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["accuracy"]) == {"linear", "knn", "trees"}
    content = json.loads((tmp_path / "p.json").read_text())
    assert list(content["events"]) == ["qcd", "w"]
    assert content["raw"] == {}
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mixture", "w=0.5,qdc=0.5"), "UnknownProcessError: no events of process 'qdc'; did you mean 'qcd'?"),
        (("--mixture", "w=x"), "ConfigError: --mixture: 'w=x'"),
        (("--processes", "w,z"), "UnknownProcessError: no events of process 'z'; known: qcd, w"),
        (("--processes", "w"), "NotEnoughEventsError: a probe needs two classes"),
        (("--figure", "corner.xyz"), "ConfigError: corner.xyz"),
        (("--signal", "nowhere.h5"), "MissingFileError"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(
    options: tuple[str, ...],
    message: str,
    model: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = (data_folder / "w_more.h5", data_folder / "qcd_more.h5")
    assert call(monkeypatch, "probe", model, *files, "-o", tmp_path / "p.json", "--quiet", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "p.json").exists()


def test_an_ensemble_is_refused_with_the_name_of_a_member(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    events = unseen.Events.concatenate([unseen.read(data_folder / f"{name}.h5") for name in ("w", "qcd")])
    train(events, TrainingConfig.parse({"epochs": 1, "device": "cpu", "ensemble": 2}), Path("both"), seed=1)
    w, qcd, signal = (data_folder / f"{name}.h5" for name in ("w_more", "qcd_more", "ato4l"))
    power = ("--background", w, "--signal", signal, "--n-reference", 50, "--n-data", 5, "--n-signal", "0,1")
    for command in (
        ("probe", "both", w, qcd, "-o", "out.json"),
        ("power", "--model", "both", *power, "-o", "out.json"),
        ("export", "both", "-o", "out.json"),
    ):
        assert call(monkeypatch, *map(str, command)) == 2
        error = capsys.readouterr().err
        assert error.startswith("MissingFileError: both holds several models (seed-0, seed-1)")
        assert f"e.g. {Path('both/seed-0')};" in error
        assert not Path("out.json").exists()
    assert call(monkeypatch, "probe", "both/seed-0", w, qcd, "--quiet", "-o", "out.json") == 0


def test_a_map_without_umap_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    assert call(monkeypatch, "probe", "nowhere", "w.h5", "-o", tmp_path / "p.json", "--umap", tmp_path / "u.png") == 2
    assert "unseen[umap]" in capsys.readouterr().err


def test_mixtures_are_read_from_shares_or_a_name() -> None:
    assert mixture_of("") is None
    assert mixture_of("adc2021") == ADC2021_MIXTURE
    assert mixture_of("w=3,qcd=1") == {"w": 3.0, "qcd": 1.0}
    for text in ("adc2020", "w=0.5", "w=0.5,w=0.5", "w=-1,qcd=1", "w=nan,qcd=1"):
        with pytest.raises(ConfigError):
            mixture_of(text)
