"""Mistakes deep inside a configuration are found before work starts, and said in one line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from unseen.config import Config, parse_config, to_yaml
from unseen.errors import ConfigError, UnseenError
from unseen.search import CALIBRATIONS, COMBINATIONS
from unseen.search.statistic import STATISTICS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": {"epoch": 3}}, "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ({"train": {"encoder": {"name": "mlp", "dimm": 4}}}, "unknown key 'train.encoder.dimm'; did you mean 'dim'?"),
        ({"train": {"encoder": {"name": "mlp", "dim": -4}}}, "train.encoder.dim: Input should be greater than 0"),
        ({"train": {"encoder": "mpl"}}, "no encoder 'mpl'; did you mean 'mlp'?"),
        ({"train": {"objective": {"name": "supcon", "temprature": 1}}}, "did you mean 'temperature'?"),
        (
            {"train": {"objective": {"name": "sum", "parts": [{"weigth": 1, "objective": "supcon"}]}}},
            "unknown key 'train.objective.parts.0.weigth'; did you mean 'weight'?",
        ),
        ({"train": {"objective": {"temperature": 1}}}, "the key 'name' is missing; known: "),
        ({"train": {"labels": "proces"}}, "did you mean 'process'?"),
        ({"simulate": {"underlying_event": 3}}, "'simulate.underlying_event'; did you mean 'underlying_events'?"),
        ({"simulate": {"detector": {"trackin": {}}}}, "'simulate.detector.trackin'; did you mean 'tracking'?"),
        ({"simulate": {"processes": {"my": {"setings": ["a"]}}}}, "'simulate.processes.my.setings'; did you mean"),
        ({"simulate": {"processes": {"my": {"settings": ["#x"]}}}}, "'#x' is not a Pythia setting"),
        ({"simulate": {"test": {"w": -1}}}, "simulate.test.w: Input should be greater than or equal to 0"),
        ({"simulate": {"resimulations": {"detector": 0}}}, "resimulations.detector: Input should be greater than 0"),
        ({"pools": {"mixture": {"w": float("nan")}}}, "pools.mixture.w: Input should be a finite number"),
        ({"pools": {"mixture": {"w": 1.5, "z": -0.5}}}, "mixture must hold non-negative shares"),
        ({"pools": {"train_mixture": {"w": 0.9}}}, "train_mixture must hold"),
        ({"pools": {"expected": float("inf")}}, "pools.expected: Input should be a finite number"),
        ({"search": {"penalty": float("inf")}}, "search.penalty: Input should be a finite number"),
        ({"search": {"widths": []}}, "search.widths: widths is empty; give at least one, or 'auto'"),
        ({"search": {"widths": "percentile(0)"}}, "search.widths: widths is 'percentile(0)'; expected 'auto', 'perc"),
        ({"search": {"widths": "several"}}, "search.widths: widths is 'several'; expected 'auto', 'percentile(90)'"),
        ({"search": {"widths": [1.0, -1.0]}}, "search.widths: widths is -1.0; expected a finite number above zero"),
        ({"search": {"widths": 0.0}}, "search.widths: widths is 0.0; expected a finite number above zero"),
        ({"search": {"embeddings": []}}, "search.embeddings: name the number of columns of every embedding"),
        ({"search": {"embeddings": [4, 0]}}, "search.embeddings: name the number of columns of every embedding"),
        ({"search": {"embeddings": [2, 3]}}, "search.embeddings [2, 3] adds up to 5, train.encoder.dim is 4"),
        ({"search": {"embeddings": [4, 4]}, "train": {"ensemble": 2}}, "search.embeddings is set by the run"),
        ({"search": {"embeddings": [2, 2]}, "train": {"folds": 3}}, "search.embeddings is set by the run"),
        ({"search": {"rank_tolerance": 1.0}}, "search.rank_tolerance: Input should be less than 1"),
        ({"search": {"rank_tolerance": -0.1}}, "search.rank_tolerance: Input should be greater than or equal to 0"),
        ({"search": {"n_toys": 9}}, "search.n_toys: Input should be greater than or equal to 10"),
        ({"search": {"n_toys_beside": 0}}, "search.n_toys_beside"),
        ({1: 2}, "1: Keys should be strings"),
    ],
)
def test_mistakes_inside_sections(content: dict[Any, Any], message: str) -> None:
    with pytest.raises(UnseenError) as raised:
        parse_config({"simulate": {}} | content, "run.yaml")
    said = str(raised.value)
    assert message in said
    assert "\n" not in said
    assert said.startswith("run.yaml: ") or not isinstance(raised.value, ConfigError)


def test_several_mistakes_are_told_together() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config({"simulate": {}, "search": {"n_toys": 0, "penalty": -1, "x": 1}, **{f"k{i}": 0 for i in range(9)}})
    said = str(raised.value)
    for key in ("search.n_toys: ", "search.penalty: ", "unknown key 'search.x'"):
        assert key in said
    assert said.count("unknown key 'k") == 2  # five mistakes in all, the rest is for the next try


@pytest.mark.parametrize("widths", ["auto", 1.5, [0.5, 1.0]])
def test_widths_of_every_kind_are_taken(widths: Any) -> None:
    config = parse_config({"simulate": {}, "search": {"widths": widths}})
    assert config.search.widths == (tuple(widths) if isinstance(widths, list) else widths)


def test_the_schema_describes_every_section_with_its_defaults() -> None:
    schema = json.loads(json.dumps(Config.model_json_schema(by_alias=True)))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {
        "name", "out", "seed", "schema", "select", "simulate", "files", "data", "pools", "train", "systematics",
        "search",
    }  # fmt: skip
    search = schema["$defs"]["SearchConfig"]
    assert search["additionalProperties"] is False
    assert search["properties"]["n_toys"]["default"] == parse_config({"simulate": {}}).search.n_toys
    assert search["properties"]["normalisation"]["default"] == "constrained(0.05)"
    assert search["properties"]["calibration"]["enum"] == ["auto", *CALIBRATIONS]
    assert search["properties"]["combination"]["enum"] == list(COMBINATIONS)
    assert search["properties"]["statistic"]["enum"] == list(STATISTICS)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"normalisation": "fre"}, "did you mean 'free'"),
        ({"normalisation": "constrained(-1)"}, "above zero"),
        ({"normalisation": "constrained(2)"}, "use normalisation='free'"),
        ({"calibration": "asymptotic"}, "needs statistic 'linear', not 'converged', unless nuisance parameters"),
        ({"calibration": "asymptotic", "statistic": "one_step"}, "needs statistic 'linear', not 'one_step'"),
        ({"memory_budget": 0}, "memory_budget"),
    ],
)
def test_impossible_searches_are_named(search: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_config({"simulate": {}, "search": search})


def test_every_section_is_described() -> None:
    schema = json.loads(json.dumps(Config.model_json_schema(by_alias=True)))
    described = ("PoolsConfig", "FilesConfig", "SignalConfig", "DataConfig", "TrainingConfig")
    for name in described:
        assert all("description" in field for field in schema["$defs"][name]["properties"].values()), name


def test_settings_of_every_section_reach_the_resolved_text() -> None:
    content = {
        "simulate": {"fidelity": "full", "processes": {"my": {"settings": ["Top:gg2ttbar=on"]}}},
        "train": {"encoder": {"name": "mlp", "dim": 6}},
        "data": {"signal": {"process": "my", "events": 3}},
        "search": {"widths": [0.5]},
    }
    text = to_yaml(parse_config(content))
    for line in ("fidelity: full", "- Top:gg2ttbar=on", "dim: 6", "process: my", "- 0.5", "schema: adc2021"):
        assert line in text
