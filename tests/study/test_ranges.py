"""Every value that a search may propose is tried before any work; what is refused all the same fails, and only once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.study.problems import SIZES, settings, write_files
from unseen.errors import ConfigError, UnknownNameError
from unseen.study import parse_study
from unseen.study import tuning as tuning_module
from unseen.study.ranges import check_ranges, values_of
from unseen.study.settings import ParameterConfig
from unseen.studying import prepare_study, run_study

SEED = 3
RESOLVED = {"null_toys": 10_000, "widths": [2.0]}  # one width and a tiny reference make the toys a matter of seconds


def tuned(folder: Path, parameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    optuna = {"objective": "synthetic", "anomalies": ["hard_leptons"], "parameters": parameters, "trials": 2} | changes
    changed = {"optuna": optuna, "pools": {"anomalies": 200}, "representations": [], "signals": ["heavy"]}
    content = settings(folder, power=RESOLVED, **changed)
    return content | {"grid": {"base": content["grid"]["base"]}}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"encoder": {"choices": ["mlp", "transformr"]}},
            "'encoder' cannot be 'transformr': no encoder 'transformr'; did",
        ),
        ({"balance_power": {"low": 0.1, "high": 3}}, "'balance_power' cannot be 3.0: .*less than or equal to 1"),
        ({"balance_power": {"low": -1, "high": 1}}, "'balance_power' cannot be -1.0: "),
        ({"encoder.dim": {"low": 2, "high": 8}}, r"'encoder.dim' is a whole number: add integer: true \("),
        ({"epochs": {"low": 1, "high": 9, "log": True}}, "'epochs' is a whole number: add integer: true"),
        (
            {"lr": {"low": 0.1, "high": 1}, "views": {"choices": [[], ["rotat"]]}},
            r"'views' cannot be \['rotat'\]: no view",
        ),
        ({"objective": {"choices": ["supcon", "ntxent"]}}, "'objective' cannot be 'ntxent': .*need transformations"),
        ({"views": {"choices": [[], [{"name": "drop", "probability": {"jetz": 1}}]]}}, "'jetz'.*did you mean 'jets'"),
        ({"labels": {"choices": ["process", {"name": "signals", "signals": ["soft"]}]}}, "no process 'soft'"),
        ({"lrr": {"low": 0.1, "high": 1}}, "unknown key 'lrr'; did you mean 'lr'?"),
        ({"encoder.dims": {"choices": [1]}}, "unknown key 'encoder.dims'; did you mean 'dim'?"),
    ],
)
def test_a_value_that_no_training_takes_is_refused_before_any_work(parameters: dict[str, Any], said: str) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=rf"^optuna\.parameters: .*{said}"):
        prepare_study(tuned(Path("nowhere"), parameters))


def test_values_that_fit_some_of_the_others_are_fine() -> None:
    pytest.importorskip("optuna")
    parameters = {
        "objective": {"choices": ["supcon", "ntxent"]},
        "views": {"choices": [[], ["rotate"]]},
        "encoder.dim": {"low": 2, "high": 8, "integer": True},
        "lr": {"low": 1e-3, "high": 1e-2, "log": True},
    }
    prepare_study(tuned(Path("nowhere"), parameters))


def test_values_that_need_two_others_are_found() -> None:
    parameters = {name: ParameterConfig(choices=(0, 1)) for name in "abc"}

    def accept(point: dict[str, Any]) -> None:
        if len(set(point.values())) > 1:
            raise ConfigError("not alike")

    check_ranges(parameters, accept)
    with pytest.raises(ConfigError, match="'a' cannot be 2: not alike"):
        check_ranges(parameters | {"a": ParameterConfig(choices=(0, 1, 2))}, accept)


def test_of_a_range_a_number_inside_is_tried_that_is_not_whole() -> None:
    assert values_of(ParameterConfig(low=2, high=8, integer=True)) == (2, 8)
    low, high, inside = values_of(ParameterConfig(low=2, high=8))
    assert (low, high) == (2.0, 8.0)
    assert low < inside < high
    assert inside % 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"power": {"tests": []}}, "power.tests: the list is empty"),
        ({"power": {"normalisations": []}}, "power.normalisations: the list is empty"),
        ({"representations": ["raw"], "representation_widths": []}, "representation_widths is empty"),
        ({"optuna": {"anomalies": []}}, "optuna: anomalies is empty; objective synthetic needs some of hard_leptons"),
        ({"optuna": {"objective": "leave_out", "processes": []}}, "optuna: objective leave_out needs processes"),
        ({"optuna": {"normalisation": "knwn"}}, "did you mean 'known'"),
    ],
)
def test_empty_lists_are_named(changes: dict[str, Any], said: str) -> None:
    content = tuned(Path("nowhere"), {"lr": {"low": 0.1, "high": 1}})
    for name, value in changes.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) else value
    with pytest.raises((ConfigError, UnknownNameError)) as error:
        parse_study(content)
    assert said in str(error.value)


def test_a_refused_trial_fails_with_its_reason_and_blocks_no_restart(tmp_path: Path) -> None:
    """Before, it stayed RUNNING, and every restart failed on it."""
    optuna = pytest.importorskip("optuna")
    write_files(tmp_path, SIZES)
    # ntxent needs views; with this seed the first trial has none and the second is fine.
    parameters = {"objective": {"choices": ["supcon", "ntxent"]}, "views": {"choices": [[], ["rotate"]]}}
    content = tuned(tmp_path, parameters, seed=SEED)
    outcome = run_study(content, out=tmp_path / "out", worker_count=1)
    assert "best (optuna)" in [row["name"] for row in outcome.rows]
    told = json.loads((tmp_path / "out" / "trials.json").read_text())
    assert [trial["number"] for trial in told["trials"]] == [1]
    assert told["failed"]["0"].startswith("ConfigError: trial 0: several views of an event need transformations")

    study = optuna.load_study(study_name=tuning_module.STUDY, storage=f"sqlite:///{tmp_path / 'out' / 'optuna.db'}")
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    study.enqueue_trial(study.trials[0].params)  # an earlier version has left such a trial open
    study.ask(study.trials[0].distributions).set_user_attr("proposed", True)
    assert study.trials[-1].state.name == "RUNNING"
    again = run_study(content, out=tmp_path / "out", worker_count=1)
    assert again.kept == len(again.rows)
    assert study.trials[-1].state.name == "FAIL"
    assert json.loads((tmp_path / "out" / "trials.json").read_text())["failed"].keys() == {"0", "2"}
