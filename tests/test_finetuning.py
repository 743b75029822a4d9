"""`unseen finetune`, from files to a folder, and how its mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import unseen
from tests.test_cli import call
from unseen.embed import FineTuned, TrainingConfig, train
from unseen.errors import ConfigError, NotEnoughEventsError, UnknownProcessError
from unseen.events import ADC2021, Events, read, select
from unseen.finetuning import in_shares, read_systematics

SHORT = {"epochs": 2, "batch_size": 128, "device": "cpu", "refit": {"epochs": 1, "copies": 1}}


def stored(data: Path, *names: str) -> Events:
    return Events.concatenate([read(data / f"{name}.h5", schema=ADC2021) for name in names])


def test_from_the_command_line_to_a_model_and_a_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_folder: Path, tmp_path: Path
) -> None:
    sample = stored(data_folder, "w", "qcd")
    settings = {"encoder": {"name": "mlp", "dim": 2, "hidden": [8]}, "epochs": 1, "batch_size": 128, "device": "cpu"}
    train(select(sample), TrainingConfig.parse(settings), tmp_path / "a", seed=1)
    table = tmp_path / "systematics.yaml"
    table.write_text(yaml.safe_dump({"nuisances": ["jet-scale", "normalisation"], "fine_tune": SHORT}))
    arguments = ["finetune", tmp_path / "a", "--events", data_folder / "w.h5", "--events", data_folder / "qcd.h5"]
    arguments += ["--systematics", table, "--mixture", "w=0.8,qcd=0.2", "--seed", "3", "--quiet", "--json"]
    assert call(monkeypatch, *arguments, "-o", tmp_path / "b") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["nuisances"] == ["jet-scale", "normalisation"]
    assert summary["events"] == len(sample)
    tuned = FineTuned.load(tmp_path / "b")
    assert tuned.ratio.delta(tuned.model.embed(select(sample)))[0].shape == (len(select(sample)), 2)
    assert unseen.load(tmp_path / "b").dim == 2
    assert (tmp_path / "b" / "fine_tuning.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (["jet-scale"], "'nuisances'"),
        ({"nuisances": ["jet-scale"], "finetune": {}}, "'fine_tune'"),
        ({"nuisances": ["jet-scael"]}, "jet-scale"),
        ({"nuisances": [{"name": "jet-scale", "size": -1}]}, "size"),
        ({"nuisances": ["jet-scale", "jet-scale"]}, "2 nuisances"),
        ({"nuisances": ["jet-scale"], "fine_tune": {"alfa": 1}}, "alpha"),
        (
            {"nuisances": [{"name": "jet-scale", "prior": {"mean": 1.0}}]},
            "nuisance 'jet-scale' has a prior of",
        ),
    ],
)
def test_mistakes_in_the_file_are_named_with_the_file(content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=words) as raised:
        read_systematics(path)
    assert str(path) in str(raised.value)


def test_a_ratio_is_learned_in_widths_of_the_priors(w_events: Events, tmp_path: Path) -> None:
    """`unseen search --ratio` constrains nu by unit Gaussians, whatever the table says of the priors."""
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"nuisances": [{"name": "normalisation", "size": 0.1, "prior": {"width": 0.5}}]}))
    nuisances = read_systematics(path).nuisances
    assert nuisances.unit
    np.testing.assert_allclose(nuisances.factor(w_events, [1.0]), 1.1**0.5, rtol=1e-6)


def test_shares_are_those_after_the_selection(data_folder: Path) -> None:
    sample = in_shares(stored(data_folder, "w", "qcd", "ato4l"), {"w": 0.7, "qcd": 0.3})
    kept = select(sample)
    assert set(np.unique(sample.label)) == {0, 1}
    assert kept.weight[kept.label == 0].sum() / kept.weight.sum() == pytest.approx(0.7)
    assert kept.weight.mean() == pytest.approx(1.0)
    with pytest.raises(UnknownProcessError, match="'tt'"):
        in_shares(stored(data_folder, "w", "qcd"), {"w": 0.7, "tt": 0.3})
    empty = stored(data_folder, "w", "qcd")
    empty = Events.create(
        ADC2021, empty.objects, empty.present & (empty.label == 0)[:, None], label=empty.label, label_names=("w", "qcd")
    )
    with pytest.raises(NotEnoughEventsError, match="'qcd'"):
        in_shares(empty, {"w": 0.7, "qcd": 0.3})
