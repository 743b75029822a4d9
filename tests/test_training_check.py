"""Settings that the events cannot serve are refused before anything is simulated, read or trained: run and study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.study.problems import SIZES, settings, write_files
from tests.test_cli import call
from unseen import sources
from unseen.config import parse_config
from unseen.errors import NotEnoughEventsError, SchemaError, UnknownNameError
from unseen.sources import check_config
from unseen.studying import prepare_study, run_study

Case = tuple[dict[str, Any], type[Exception], str]
BOSONS = {"labels": {"name": "groups", "groups": {"boson": ["w", "zz"]}}}
CASES: list[Case] = [
    (BOSONS, UnknownNameError, "no process 'zz' among the training events; did you mean 'z'?"),
    ({"labels": {"name": "signals", "signals": ["ato4l"]}}, UnknownNameError, "no process 'ato4l'"),
    (
        {"views": [{"name": "drop", "probability": {"jetz": 0.1}}]},
        SchemaError,
        "drop: no objects 'jetz' in schema 'adc2021'; did you mean 'jets'?",
    ),
    (
        {"views": [{"name": "mask-features", "features": ["ptt"]}]},
        SchemaError,
        "no feature 'ptt' in schema 'adc2021'; did you mean 'pt'?",
    ),
    ({"labels": {"name": "final-state", "of": "none", "jets": None, "leptons": False}}, NotEnoughEventsError, "two"),
]


@pytest.mark.parametrize(("train", "error", "said"), CASES)
def test_a_run_refuses_it_before_the_simulation(
    monkeypatch: pytest.MonkeyPatch, train: dict[str, Any], error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(sources, "check_simulation", lambda *_: {})
    config = parse_config({"simulate": {}, "train": train})
    with pytest.raises(error) as refused:
        check_config(config)
    assert str(refused.value).startswith("train: ")
    assert said in str(refused.value)
    check_config(config, pools=False)  # samples alone are no training


@pytest.mark.parametrize(("train", "error", "said"), CASES)
def test_a_study_refuses_it_before_it_reads_events(train: dict[str, Any], error: type[Exception], said: str) -> None:
    content = settings(Path("nowhere"), models={"one": train}, representations=[])
    with pytest.raises(error) as refused:
        prepare_study(content)
    assert str(refused.value).startswith("'one': ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("observable", "said"),
    [("record.pt_hatt", "did you mean 'pt_hat'?"), ("record.xyz", "known: m_hat, n_taus, n_true_leptons, pt_hat")],
)
def test_the_record_of_the_simulation_is_known_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch, observable: str, said: str
) -> None:
    monkeypatch.setattr(sources, "check_simulation", lambda *_: {})
    labels = {"name": "kinematic", "observable": observable, "least": 5}
    with pytest.raises(SchemaError) as refused:
        check_config(parse_config({"simulate": {}, "train": {"labels": labels}}))
    assert said in str(refused.value)
    right = {**labels, "observable": "record.pt_hat"}
    check_config(parse_config({"simulate": {}, "train": {"labels": right}}))


def test_where_training_events_come_from_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "check_simulation", lambda *_: {})
    labels = {"name": "signals", "signals": ["ato4l"], "others": {"name": "groups", "groups": {"boson": ["w", "z"]}}}
    content: dict[str, Any] = {"simulate": {}, "train": {"labels": labels}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    assert call(monkeypatch, "config", tmp_path / "c.yaml") == 2
    assert "pools.train_mixture" in capsys.readouterr().err
    shares = {"w": 0.6, "qcd": 0.3, "z": 0.07, "tt": 0.03, "ato4l": 0.0}
    content["pools"] = {"train_mixture": shares}
    with pytest.raises(NotEnoughEventsError, match="class 'ato4l' would be empty"):
        check_config(parse_config(content))
    content["pools"] = {"train_mixture": shares | {"w": 0.5, "ato4l": 0.1}}
    check_config(parse_config(content))


def test_a_study_looks_at_the_trainings_without_a_process_too() -> None:
    alone = {"labels": {"name": "groups", "groups": {"top": ["z"]}}}
    content = settings(Path("nowhere"), models={"one": alone}, representations=[])
    prepare_study(content)
    with pytest.raises(NotEnoughEventsError, match="'one' without 'z': labels 'groups': class 'top' would be empty"):
        prepare_study(content | {"leave_out": ["z"]})


def test_a_study_knows_the_record_of_its_events_before_the_first_training(tmp_path: Path) -> None:
    write_files(tmp_path, SIZES)
    model = {"labels": {"name": "kinematic", "observable": "record.pt_hat", "least": 5}}
    content = settings(tmp_path, models={"one": model})
    prepare_study(content)
    with pytest.raises(SchemaError, match=r"'one': .*the simulation record has no 'pt_hat'"):
        run_study(content, worker_count=1)
    assert not (tmp_path / "study").exists()
