"""A user's own benchmark sample, small: the search and the study that the project's sample goes through run on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import unseen
from unseen.config import load_config
from unseen.events import Sample
from unseen.studying import run_study

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent / "examples"
BACKGROUNDS, SIGNALS = ("w", "qcd", "z", "tt"), ("ato4l", "leptoquark", "h0tautau", "hchtaunu")
TRAIN = {"w": 160, "qcd": 120, "z": 100, "tt": 40}
TEST = {"w": 700, "qcd": 400, "z": 110, "tt": 40} | dict.fromkeys(SIGNALS, 110)
POOLS = {"train": 200, "settings": 60, "reference": 600, "toys": 300}


def example(name: str, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return content


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `unseen simulate` makes of the example with few events, searched by `unseen run`."""
    folder = tmp_path_factory.mktemp("lhc-l1")
    content = example(
        "lhc_l1.yaml",
        out=str(folder / "run"),
        simulate={"train": TRAIN, "test": TEST, "underlying_events": 200, "decays": 300},
        pools=POOLS | {"expected": 100},
        train={"epochs": 1, "batch_size": 64},
        search={"n_centers": 30, "n_toys": 60},
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    load_config(folder / "config.yaml")
    result = unseen.run(folder / "config.yaml")
    assert result is not None
    assert 0 < result.p_value <= 1
    return folder / "run" / "simulate"


def files(sample: Path) -> dict[str, Any]:
    """The files of the other examples, from the sample; as docs/own-data.md has them."""
    return {
        "test": {name: [str(sample / "test")] for name in (*BACKGROUNDS, *SIGNALS)},
        "train": {name: [str(sample / "train")] for name in BACKGROUNDS},
    }


def test_the_sample_has_every_process(sample: Path) -> None:
    events = Sample.open(sample / "test").load()
    assert {*events.label_names} == {*BACKGROUNDS, *SIGNALS}


def test_the_best_embedding_searches_in_it(sample: Path, tmp_path: Path) -> None:
    content = example(
        "best.yaml",
        out=str(tmp_path / "best"),
        files=files(sample),
        pools=POOLS | {"expected": 100},
        train={"epochs": 1, "batch_size": 64},
        search={"n_centers": 30, "n_toys": 60},
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    result = unseen.run(tmp_path / "config.yaml")
    assert result is not None
    assert (tmp_path / "best" / "report.html").is_file()


def test_the_study_compares_embeddings_on_it(sample: Path, tmp_path: Path) -> None:
    content = example("lhc_l1_study.yaml", out=str(tmp_path / "study"), files=files(sample), pools=POOLS)
    content.pop("grid")
    chosen = {name: content["models"][name] for name in ("best, 4-d", "published mlp")}
    content["models"] = {name: {**model, "epochs": 1, "batch_size": 64} for name, model in chosen.items()}
    content["power"] = {"n_data": 100, "toys": 20, "null_toys": 600, "n_centers": 25, "ceiling": False}
    outcome = run_study(content, worker_count=1)
    assert {row["name"] for row in outcome.rows} >= {*chosen, "raw", "leading_pt"}
    assert not any(row.get("failed") for row in outcome.rows)
