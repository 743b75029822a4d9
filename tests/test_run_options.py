"""What a run does with its less common options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

import unseen
from tests.test_pipeline import small
from unseen.config import parse_config
from unseen.errors import NotEnoughEventsError
from unseen.sources import check_config, label_of, simulation_config


def test_the_search_beside_is_given_the_number_of_data_events(data_folder: Path, tmp_path: Path) -> None:
    """130 events where 60 are expected: the yield is an anomaly, the shape is compared at 130 events."""
    unseen.run(small(data_folder, tmp_path / "x", data={"file": str(data_folder / "w.h5")}), until="search")
    result = json.loads((tmp_path / "x" / "result.json").read_text())
    assert result["n_data"] > 100
    assert result["normalisation"] == "constrained(0.05)"
    assert result["p_value"] == result["p_resolution"]
    assert result["beside"]["normalisation"] == "free"
    assert result["beside"]["n_data"] == result["n_data"]


def test_without_enough_toys_the_search_beside_is_left_out(data_folder: Path, tmp_path: Path) -> None:
    content = small(data_folder, tmp_path / "x", data={"file": str(data_folder / "w.h5")})
    content["pools"] = {**content["pools"], "toys": 110}
    result = unseen.run(content, until="search")
    assert result is not None
    assert json.loads((tmp_path / "x" / "result.json").read_text())["beside"] is None


def test_changed_data_are_searched_again(data_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.h5"
    data.write_bytes((data_folder / "w.h5").read_bytes())
    content = small(data_folder, tmp_path / "x", data={"file": str(data)})
    first = unseen.run(content, until="search")
    with h5py.File(data_folder / "w.h5") as source, h5py.File(data, "w") as target:
        target["Particles"] = source["Particles"][:100]
    second = unseen.run(content, until="search")
    assert first is not None
    assert second is not None
    assert second.n_data < first.n_data


SIMULATED: dict[str, Any] = {
    "simulate": {},
    "pools": {"mixture": {"w": 1.0}, "train": 50, "settings": 20, "reference": 60, "toys": 40, "expected": 10},
}


def test_the_simulation_makes_what_the_pools_need() -> None:
    config = parse_config(SIMULATED)
    settings = simulation_config(config)
    assert settings.train == {"w": 50}
    assert settings.test["w"] >= 120


def test_too_few_simulated_events_are_refused_before_they_are_made() -> None:
    config = parse_config({**SIMULATED, "simulate": {"test": {"w": 100}}})
    assert simulation_config(config).train == {"w": 50}
    with pytest.raises(NotEnoughEventsError, match=r"simulate\.test makes 100 events of 'w' but the pools need"):
        check_config(config)
    check_config(config, pools=False)  # a sample alone may have any size


def test_a_signal_is_known_by_its_own_label() -> None:
    process = {"label": "new", "settings": ["NewGaugeBoson:ffbar2gmZZprime = on"], "signal": True}
    config = parse_config({**SIMULATED, "simulate": {"processes": {"zprime": process}}})
    assert label_of(config, "zprime") == "new"
    assert label_of(config, "w") == "w"


def test_threads_of_the_command_line_sleep_when_they_wait() -> None:
    code = "import os, unseen.cli; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PASSIVE"
