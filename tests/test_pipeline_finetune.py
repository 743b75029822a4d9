"""A run that fine-tunes its embedding: what is learned from which events, what is made again, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import unseen
from tests.test_pipeline_systematics import small as plain
from unseen.arrays import read_arrays
from unseen.config import Config, parse_config
from unseen.dealing import RATIO, TUNING, load_pools
from unseen.embed import FineTuned
from unseen.errors import ConfigError, SelectionError
from unseen.events import Events, read, select
from unseen.stored import passing

SHORT = {"epochs": 2, "batch_size": 128, "device": "cpu", "refit": {"epochs": 1, "copies": 1}}
MADE = ("train", "finetune", "embed", "systematics", "search", "report")


def small(data_folder: Path, out: Path, tune: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The run of the stage `systematics`, fine-tuned; two parameters to learn, an overall yield that is known."""
    content = {**plain(data_folder, out), **changes}
    content["systematics"] = {**content["systematics"], "fine_tune": SHORT if tune is None else tune}
    return content


def stamps(out: Path) -> dict[str, int]:
    """When every stage was last made."""
    return {name: path.stat().st_mtime_ns for name in MADE if (path := out / name / "stage.json").exists()}


@pytest.fixture(scope="module")
def finished(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "a"
    unseen.run(small(data_folder, out))
    return out


def test_what_comes_after_uses_the_fine_tuned_model(finished: Path, data_folder: Path) -> None:
    tuned = FineTuned.load(finished / "finetune")
    assert tuned.ratio.names == ("jet-scale", "lepton-efficiency")  # the yield moves no event
    pools = load_pools(parse_config(small(data_folder, finished)), finished)[1]
    for name in ("reference", "data"):
        z = read_arrays(finished / "embed" / f"{name}.npz")["x"]
        np.testing.assert_array_equal(z, tuned.model.embed(pools[name]))
        assert np.abs(z - unseen.load(finished / "train").embed(pools[name])).max() > 1e-3
    stored = read_arrays(finished / "systematics" / "response.npz")["z"]
    of_ratio = tuned.model.embed(select(pools[RATIO]))
    kept = np.isclose(stored[:, None, :], of_ratio[None], atol=1e-5).all(axis=2).any(axis=1)
    assert kept.mean() > 0.5  # those that pass, of the stored ones


def test_the_page_names_the_method_and_shows_the_fine_tuning(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Fine-tuning: contrastive loss in training from" in page
    assert "<td>covariant</td>" in page
    assert "jet-scale, lepton-efficiency" in page
    assert "finetune" in json.loads((finished / "provenance.json").read_text(encoding="utf-8"))["seconds"]


