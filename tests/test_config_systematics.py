"""The section `systematics`: what it takes, and mistakes with the path of the key."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from unseen.config import parse_config, to_yaml
from unseen.errors import ConfigError

TABLE: list[Any] = ["jet-scale", {"name": "normalisation", "label": "lumi", "size": 0.025}]


def parsed(**sections: Any) -> Any:
    return parse_config({"simulate": {}} | sections, "run.yaml")


def test_the_resolved_text_gives_the_same_configuration() -> None:
    config = parsed(systematics={"nuisances": TABLE, "ratio": {"penalty": 1e-3}}, data={"nu": {"lumi": 1.0}})
    assert config.systematics.nuisance_set.names == ("jet-scale", "lumi")
    assert parse_config(yaml.safe_load(to_yaml(config))) == config
    assert parsed().systematics is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["jet-scal"], "systematics.nuisances.0: no nuisance 'jet-scal'; did you mean 'jet-scale'?"),
        (
            ["jet-scale", {"name": "jet-resolution", "prior": {"width": 0}}],
            "nuisances.1: a prior needs a finite mean and",
        ),
        ([{"name": "jet-scale", "sizze": 3}], "unknown key 'systematics.nuisances.0.sizze'; did you mean 'size'?"),
        ([{"name": "jet-scale", "size": -3}], "systematics.nuisances.0.size: Input should be greater"),
        ([{"name": "weights", "label": "pdf", "up": "a"}], "nuisances.0: nuisance 'pdf': up 'a' without down"),
        ([{"nam": "x"}], "systematics.nuisances.0: nuisance: the key 'name' is missing"),
        (["jet-scale", "jet-scale"], "systematics: 2 nuisances are called 'jet-scale'; give each its own name"),
        ([], "systematics: nuisances: the table is empty"),
        (
            [{"name": "initial-shower", "down": None}],
            "nuisance 'initial-shower': up 'isr_up' without down",
        ),
        (
            [{"name": "jet-scale", "prior": {"mean": 2.5}}],
            "'jet-scale' has a prior of mean 2.5, and nu is",
        ),
        ([{"name": "jet-scale", "label": "yield"}], "nuisances: 'yield' is what search.normalisation calls its own"),
        ([{"name": "normalisation", "label": "yield"}], "give this one another label"),
    ],
)
def test_mistakes_in_the_table_are_told_with_their_place(rows: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as raised:
        parsed(systematics={"nuisances": rows})
    assert str(raised.value).startswith("run.yaml: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"systematics": {"nuisances": TABLE, "ratoi": {}}}, "unknown key 'systematics.ratoi'; did you mean 'ratio'?"),
        ({"systematics": {"nuisances": TABLE, "ratio": {"held_out": 1.0}}}, "systematics.ratio.held_out: Input should"),
        ({"systematics": {"nuisances": TABLE}, "search": {"statistic": "linear"}}, "search.statistic 'converged'"),
        ({"systematics": {"nuisances": TABLE}, "search": {"calibration": "permutation"}}, "'auto' or 'toys'"),
        ({"systematics": {"nuisances": TABLE}, "select": False}, "set 'select', or use a schema without one"),
        ({"data": {"nu": {"jet-scale": 1}}}, "data.nu: no nuisance parameter 'jet-scale' in a run without any"),
        (
            {"systematics": {"nuisances": TABLE}, "data": {"nu": {"jet_scale": 1}}},
            "data.nu: no nuisance parameter 'jet_scale' in the table systematics.nuisances; did you mean 'jet-scale'?",
        ),
        (
            {"systematics": {"nuisances": TABLE}, "data": {"auxiliary": {"lum": 1}}},
            "data.auxiliary: no nuisance parameter",
        ),
        (
            {"systematics": {"nuisances": TABLE}, "data": {"auxiliary": {"jet-scale": -3.5}}},
            "data.auxiliary: 'jet-scale' is -3.5, and what it does is learned from -3 to 3, 3 widths of its prior",
        ),
        (
            {
                "systematics": {"nuisances": [{"name": "jet-scale", "prior": {"width": 0.5}}], "ratio": {"width": 4.0}},
                "data": {"auxiliary": {"jet-scale": 2.5}},
            },
            "learned from -2 to 2, 4 widths",
        ),
        (
            {"systematics": {"nuisances": [*TABLE, "jet-resolution"], "ratio": {"n_nu": 4}}},
            "ratio.n_nu: 4 values of nu cannot tell apart the 5 terms of log r with 2 nuisance parameters",
        ),
        ({"systematics": {"nuisances": TABLE}, "data": {"file": "x.h5", "nu": {"lumi": 1}}}, "give 'file' or 'nu'"),
        (
            {"systematics": {"nuisances": TABLE, "ratio": {"events": 500}}},
            "events 500 with held_out 0.3 leaves 150 for the closure test, which needs 200",
        ),
    ],
)
def test_what_cannot_be_profiled_is_named(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parsed(**sections)


def test_fine_tuning_is_a_section_of_its_own() -> None:
    settings = {"method": "invariant", "head": {"name": "free", "hidden": [8]}, "alpha": 3, "refit": {"copies": 2}}
    config = parsed(systematics={"nuisances": TABLE, "fine_tune": settings})
    assert (config.systematics.fine_tune.method, config.systematics.fine_tune.head.hidden) == ("invariant", (8,))
    assert [row.parameter for row in config.systematics.moving] == ["jet-scale"]
    assert parse_config(yaml.safe_load(to_yaml(config))) == config


@pytest.mark.parametrize(
    ("settings", "others", "message"),
    [
        ({"epoch": 3}, {}, "unknown key 'systematics.fine_tune.epoch'; did you mean 'epochs'?"),
        ({"method": "covarant"}, {}, "systematics.fine_tune: no method of fine-tuning 'covarant'; did you mean 'cova"),
        ({"head": "fre"}, {}, "systematics.fine_tune: no head 'fre'"),
        ({"width": 7}, {}, "systematics.fine_tune: width 7 proposes nu beyond 5"),
        ({"head_epochs": 3, "epochs": 3}, {}, "systematics.fine_tune: head_epochs 3 leaves nothing"),
        ({}, {"train": {"folds": 2}}, "fine-tunes one model, and train.folds train several: leave it out"),
        ({}, {"train": {"folds": 2, "ensemble": 3}}, "train.folds and train.ensemble train several: leave them out"),
        ({}, {"nuisances": ["normalisation"]}, "fine_tune: an overall normalisation moves no event"),
        ({}, {"ratio": {"pool": "train"}}, "set ratio.pool to 'own'"),
    ],
)
def test_what_cannot_be_fine_tuned_is_named(settings: dict[str, Any], others: dict[str, Any], message: str) -> None:
    section = {"nuisances": TABLE, **{key: others[key] for key in others if key != "train"}, "fine_tune": settings}
    with pytest.raises(ConfigError, match=re.escape(message)):
        parsed(systematics=section, train=others.get("train", {}))


def test_the_yield_is_uncertain_once() -> None:
    """An overall normalisation in the table takes the place of the default; of a choice only if both are meant."""
    assert parsed(systematics={"nuisances": TABLE}).search.normalisation == "known"
    assert parsed(systematics={"nuisances": ["jet-scale"]}).search.normalisation == "constrained(0.05)"
    of_one = [{"name": "normalisation", "label": "xsec", "processes": ["tt"]}]
    assert parsed(systematics={"nuisances": of_one}).search.normalisation == "constrained(0.05)"
    for chosen in ("constrained(0.1)", "free"):
        twice: dict[str, Any] = {"search": {"normalisation": chosen}}
        with pytest.raises(ConfigError, match=r"the yield is uncertain twice: by 'lumi' in systematics\.nuisances"):
            parsed(systematics={"nuisances": TABLE}, **twice)
        config = parsed(systematics={"nuisances": TABLE, "yield_twice": True}, **twice)
        assert config.search.normalisation == chosen


def test_what_is_just_enough_passes() -> None:
    """As many values of nu as terms, no term of a known yield, measurements at the edge, a prior of another width."""
    section = {"nuisances": [*TABLE, "jet-resolution"], "ratio": {"n_nu": 5}}
    assert parsed(systematics=section, data={"auxiliary": {"jet-scale": 3.0, "lumi": -3.0}}).data.auxiliary
    assert parsed(systematics={"nuisances": ["normalisation"], "ratio": {"n_nu": 1}}).systematics.ratio.n_nu == 1
    wide = parsed(systematics={"nuisances": [{"name": "jet-scale", "prior": {"width": 2.0}}]}).systematics
    assert wide.widths == {"jet-scale": 2.0}
    assert wide.in_widths.unit
    assert not wide.nuisance_set.unit
