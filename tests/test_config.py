from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from unseen.config import load_config, parse_config, to_yaml
from unseen.errors import ConfigError, MissingFileError

EXAMPLES = Path(__file__).parent.parent / "examples"
MINIMAL: dict[str, Any] = {"simulate": {}}


@pytest.mark.parametrize("path", sorted(p for p in EXAMPLES.glob("*.yaml") if p.stem != "study"), ids=lambda p: p.name)
def test_every_example_is_valid(path: Path) -> None:
    load_config(path)


def test_the_resolved_configuration_reads_back_equal() -> None:
    config = parse_config(MINIMAL)
    assert parse_config(yaml.safe_load(to_yaml(config))) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**MINIMAL, "serch": {}}, "unknown key 'serch'; did you mean 'search'"),
        ({**MINIMAL, "search": {"n_toy": 3}}, r"unknown key 'search\.n_toy'; did you mean 'n_toys'"),
        ({**MINIMAL, "data": {"signal": {"process": "x", "event": 3}}}, r"data\.signal\.event'; did you mean 'events'"),
        ({**MINIMAL, "pools": {"reference": -1}}, r"pools\.reference: .*greater than 1"),
        ({**MINIMAL, "pools": {"mixture": {"w": 0.5}}}, "add up to 1"),
        ({**MINIMAL, "search": {"normalisation": "fixed"}}, "normalisation"),
        ({}, "exactly one of 'simulate' and 'files'"),
        ({**MINIMAL, "files": {"test": {}}}, "exactly one of 'simulate' and 'files'"),
        ({**MINIMAL, "data": {"file": "x", "signal": {"process": "a", "events": 1}}}, "pseudo-data only"),
        ([], "mapping"),
    ],
)
def test_mistakes_are_named_with_a_way_out(content: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(content)


def test_files_that_are_not_configurations(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("simulate: {}\n")
    with pytest.raises(MissingFileError, match=r"did you mean 'good\.yaml'"):
        load_config(tmp_path / "goood.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1, 2\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not valid YAML"):
        load_config(tmp_path / "bad.yaml")
