from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from unseen.config import SearchConfig, load_config, load_search, parse_config, to_yaml
from unseen.embed.objectives import SupConConfig
from unseen.errors import ConfigError, MissingFileError
from unseen.events import ADC2021
from unseen.sources import check_config
from unseen.study.grid import entries
from unseen.study.settings import load_study

EXAMPLES = Path(__file__).parent.parent / "examples"
MINIMAL: dict[str, Any] = {"simulate": {}}


def examples(*sections: str) -> list[Path]:
    """The YAML files in examples/ that have one of these sections."""
    return [p for p in sorted(EXAMPLES.glob("*.yaml")) if set(sections) & yaml.safe_load(p.read_text()).keys()]


STUDIES = examples("grid", "models")
RUNS = [path for path in sorted(EXAMPLES.glob("*.yaml")) if path not in STUDIES]


def with_small_files(content: Any, data_folder: Path) -> Any:
    """The configuration with files that exist in place of those in data/."""
    if "files" in content:
        for processes in content["files"].values():
            processes.update({name: [str(data_folder / "w.h5")] for name in processes})
    return content


@pytest.mark.parametrize("path", RUNS, ids=lambda p: p.name)
def test_every_example_of_a_run_is_valid(path: Path, data_folder: Path) -> None:
    load_config(path)
    check_config(parse_config(with_small_files(yaml.safe_load(path.read_text()), data_folder)))


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.name)
def test_every_example_of_a_study_is_valid(path: Path) -> None:
    assert entries(load_study(path))


def numbers_of(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_the_published_recipe_has_the_published_sizes() -> None:
    transformer, mlp, ssl = (load_config(EXAMPLES / f"metzger2025{name}.yaml") for name in ("", "_mlp", "_ssl"))
    assert numbers_of(transformer.train.encoder.build(ADC2021)) == pytest.approx(200_000, rel=0.01)  # "about 200k"
    encoder = mlp.train.encoder.build(ADC2021)
    assert next(encoder.parameters()).shape == (96, 57)
    # 20.6k with the head and the batch normalisations that we have not: two numbers for each of 260 features.
    assert isinstance(mlp.train.objective, SupConConfig)
    total = numbers_of(encoder) + numbers_of(mlp.train.objective.head(4)) + 2 * (96 + 64 + 48 + 4 + 48)
    assert total == pytest.approx(20_600, abs=50)
    assert ssl.train.encoder == mlp.train.encoder
    for config in (transformer, mlp, ssl):
        assert config.pools.reference == 10 * config.pools.expected
        assert config.search == transformer.search


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


SECTION = {"n_centers": 30, "widths": [1.0]}


@pytest.mark.parametrize("content", [{"search": SECTION}, {**MINIMAL, "search": SECTION}])
def test_a_search_is_read_from_its_section_alone_or_from_a_run(tmp_path: Path, content: Any) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    found = load_search(tmp_path / "c.yaml")
    assert found == SearchConfig(n_centers=30, widths=(1.0,))
    assert found.model_fields_set == {"n_centers", "widths"}  # what is not said has defaults of its own
    assert load_search(None) == SearchConfig()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"search": {"n_centres": 30}}, r"c\.yaml: unknown key 'search\.n_centres'; did you mean 'n_centers'"),
        ({"search": {"n_centers": 0}}, r"c\.yaml: search\.n_centers: .*greater than 0"),
        ({"search": None}, r"c\.yaml: search: "),
        ({"serch": SECTION}, "unknown key 'serch'; did you mean 'search'"),
        (SECTION, r"c\.yaml: 'n_centers' belongs into a section 'search', e\.g\. search: \{n_centers: 30\}"),
        ({"pools": {}, "search": SECTION}, "'pools' belongs to a run.* section 'search' alone"),
        ({**MINIMAL, "pools": {"toys": -1}}, r"pools\.toys"),
        ({}, "search: Field required"),
        ([], "mapping"),
    ],
)
def test_mistakes_in_the_file_of_a_search_are_named(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        load_search(tmp_path / "c.yaml")
