from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.study.problems import settings
from unseen.embed import TrainingConfig
from unseen.errors import ConfigError, UnknownNameError, UnseenError
from unseen.study import entries, parse_study
from unseen.study.grid import changed


def names(**changes: Any) -> list[str]:
    return [entry.name for entry in entries(parse_study(settings(Path(), **changes)))]


def test_every_combination_of_the_axes_is_an_entry() -> None:
    axes = {"encoder.dim": [2, 4], "objective": ["supcon", {"name": "supcon", "temperature": 0.5}], "seed": [1, 2]}
    found = entries(parse_study(settings(Path(), grid={"axes": axes}, representations=[])))
    assert len(found) == 8
    assert found[0].name == "dim=2 supcon seed=1"
    assert found[-1].name == "dim=4 supcon(temperature=0.5) seed=2"
    assert len({entry.family for entry in found}) == 2
    last = found[-1].training
    assert last is not None
    assert last.objective.model_dump()["temperature"] == 0.5
    assert (last.encoder.dim, last.epochs, found[-1].seed) == (4, 1, 2)


def test_fixed_rows_come_first_and_named_models_before_the_grid() -> None:
    found = names(
        power={"ceiling": True},
        models={"mine": {"epochs": 2, "seed": 7}},
        representations=["raw", "leading_pt"],
        representation_widths=["several", "one"],
    )
    fixed = ["neyman_pearson", "raw", "raw, one width", "leading_pt", "leading_pt, one width"]
    assert found == [*fixed, "mine", "dim=2", "dim=3"]


def test_families_are_what_the_study_says() -> None:
    axes = {"encoder.dim": [2, 4], "labels": ["process", "final-state"], "objective": ["supcon", "classifier"]}
    grid = {"axes": axes, "family": ["objective"]}
    content = settings(Path(), grid=grid, models={"mine": {"family": "supcon", "epochs": 3}, "other": {"epochs": 4}})
    found = {entry.name: entry.family for entry in entries(parse_study(content))}
    assert (found["mine"], found["other"]) == ("supcon", "other")
    assert {family for name, family in found.items() if name.startswith("dim=")} == {"supcon", "classifier"}
    with pytest.raises(ConfigError, match=r"grid.family: 'label' is none of the axes; did you mean 'labels'"):
        entries(parse_study(settings(Path(), grid={"axes": axes, "family": ["label"]})))


def test_a_dotted_key_opens_a_section_given_by_name_or_not_at_all() -> None:
    assert changed({}, {"encoder.dim": 3}) == {"encoder": {"name": "mlp", "dim": 3}}
    assert changed({"encoder": "mlp"}, {"encoder.dim": 3}) == {"encoder": {"name": "mlp", "dim": 3}}
    for section in ("labels", "inputs", "objective"):
        name = getattr(TrainingConfig(), section).name
        assert changed({}, {f"{section}.x": 1}) == {section: {"name": name, "x": 1}}
    both = changed({"encoder": {"name": "mlp", "dim": 2}}, {"encoder.dim": 3, "encoder": "mlp"})
    assert both == {"encoder": {"name": "mlp", "dim": 3}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grid": {"axes": {"encodr.dim": [2]}}}, "unknown key 'encodr.dim'; did you mean 'encoder'?"),
        ({"grid": {"axes": {"encoder.dims": [2]}}}, "unknown key 'encoder.dims'; did you mean 'dim'?"),
        ({"grid": {"axes": {"epoch": [2]}}}, "unknown key 'epoch'; did you mean 'epochs'?"),
        ({"grid": {"axes": {"epochs": [0]}}}, "epochs: Input should be greater than 0"),
        ({"grid": {"axes": {"encoder.name": ["mpl"]}}}, "no encoder 'mpl'; did you mean 'mlp'?"),
        ({"grid": {"axes": {"epochs": []}}}, "'epochs' has no values"),
        ({"grid": {"axes": {"seed": [-1]}}}, "seed is -1"),
        ({"grid": {"axes": {"encoder.dim": [2, 2]}}}, "two entries are called 'dim=2'"),
        ({"models": {"twin": {"epoch": 1}}}, "models.twin: unknown key 'epoch'"),
        ({"grid": {"axes": {"seed": [3]}}, "models": {"a": {"lr": 0.1}, "b": {"lr": 0.1}}}, "'a' and 'b' are the same"),
        ({"grid": None, "representations": [], "models": {}}, "the study is empty"),
        (
            {"models": {"three": {"ensemble": 3}}, "systematics": {"nuisances": ["jet-scale"]}},
            "'three' is several embeddings and the study has nuisance parameters",
        ),
    ],
)
def test_mistakes_are_named_before_any_work(changes: dict[str, Any], said: str) -> None:
    content = settings(Path())
    content |= {key: value for key, value in changes.items() if key != "grid"}
    if "grid" in changes:
        grid = changes["grid"]
        content["grid"] = None if grid is None else {**content["grid"], **grid}
    with pytest.raises((ConfigError, UnknownNameError)) as error:
        entries(parse_study(content))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"polls": {}}, "unknown key 'polls'; did you mean 'pools'?"),
        ({"power": {"n_dta": 3}}, "unknown key 'power.n_dta'; did you mean 'n_data'?"),
        ({"power": {"normalisations": ["knwon"]}}, "knwon"),
        ({"power": {"tests": ["mdd"]}}, "mdd"),
        ({"power": {"injections": [-1]}}, "zero or more"),
        ({"signals": ["w"]}, "signal 'w' is also in pools.mixture"),
        ({"signals": []}, "signals"),
        ({"signals": ["heavy", "heavy"]}, "must be different"),
        ({"files": {"train": {"heavy": ["heavy.h5"]}}}, "no embedding may see it"),
        ({"leave_out": ["zz"]}, "zz"),
        ({"pools": {"mixture": {"w": 0.5}}}, "add up to 1"),
        ({"sample": {"test": "x"}}, "exactly one of 'files' and 'sample'"),
        ({"optuna": {"objective": "leave_out", "parameters": {"lr": {"low": 1, "high": 2}}}}, "needs processes"),
        ({"optuna": {"objective": "synthetic", "parameters": {"lr": {"low": 2, "high": 1}}}}, "must be below"),
        ({"optuna": {"objective": "synthetic", "parameters": {"lr": {"low": 2}}}}, "low and high, or choices"),
        (
            {"optuna": {"objective": "synthetic", "anomalies": ["x"], "parameters": {"lr": {"choices": [1]}}}},
            "unknown anomaly 'x'",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UnseenError) as error:
        parse_study(settings(Path(), **changes))
    assert said in str(error.value)
