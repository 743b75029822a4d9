"""The quickstart itself: minutes each, so slow. Run by `make test-slow`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import unseen
from unseen.config import load_config
from unseen.sources import load_role

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent / "examples"
REPETITIONS = 40
TOYS = 200


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quickstart") / "run"
    unseen.run(EXAMPLES / "quickstart.yaml", out=out)
    return out


def test_the_hidden_signal_is_found(quickstart: Path) -> None:
    """No toy of 1000 may look like the data: p at the resolution, Z of at least 3.09."""
    result = json.loads((quickstart / "result.json").read_text())
    assert result["converged"]
    assert result["z"] > 3


def test_without_a_signal_nothing_is_claimed(quickstart: Path, tmp_path: Path) -> None:
    result = unseen.run(EXAMPLES / "quickstart-null.yaml", out=tmp_path / "null")
    assert result is not None
    assert result.p_value > 0.01


def test_null_repetitions_of_the_quickstart_give_uniform_p_values(quickstart: Path) -> None:
    """Shuffle the signal-free test events into settings, reference, toys and data 40 times and search each time.

    Every event is equally likely to play any part, so each p-value is uniform whatever the sample; the repetitions
    share events, which leaves the p-values only weakly dependent. Each has its own 200 toys: no null is shared. The
    KS threshold is 1e-3; p-values are spread within their resolution by a fixed generator.
    """
    config = load_config(EXAMPLES / "quickstart.yaml")
    events = load_role(config, quickstart / "simulate", "test")
    z = unseen.load(quickstart / "train").embed(events.of("w", "qcd", "z", "tt"))
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(REPETITIONS):
        parts = np.split(rng.permutation(z), np.cumsum([400, 4700, 1200, rng.poisson(500)]))
        settings, reference, toys, data = parts[:4]
        test = unseen.KernelTest(n_centers=300, seed=seed).fit(reference, expected=500, settings=settings)
        test.calibrate(toys, n_toys=TOYS, seed=seed)
        p_values.append(test.search(data).p_value - rng.uniform(0, 1 / (TOYS + 1)))
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3, sorted(p_values)


@pytest.mark.parametrize("stage", ["simulate", "train", "embed", "search", "report"])
def test_a_simulated_run_killed_in_any_stage_gives_the_same_result(tmp_path: Path, stage: str) -> None:
    """A tiny run with the simulation in it, against one that was never stopped."""
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "simulate: {underlying_events: 60, decays: 200, shard_size: 60}\n"
        "pools: {mixture: {w: 0.9, z: 0.1}, train: 150, settings: 40, reference: 150, toys: 80, expected: 25}\n"
        "train: {epochs: 3, batch_size: 64}\nsearch: {n_toys: 30, widths: [1.0, 2.0]}\n"
    )
    whole = unseen.run(config, out=tmp_path / "whole")
    command = [sys.executable, "-m", "unseen.cli", "run", str(config), "--out", str(tmp_path / "killed"), "--quiet"]
    process = subprocess.Popen(command, env=dict(os.environ), start_new_session=True)
    started = tmp_path / "killed" / stage / "inputs.json"
    while not started.exists() and process.poll() is None:
        time.sleep(0.002)
    if stage == "simulate":  # let it finish a shard or two first
        deadline = time.monotonic() + 60
        while not list((tmp_path / "killed").rglob("*-00000.h5")) and time.monotonic() < deadline:
            time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "report.html").exists()
    assert unseen.run(config, out=tmp_path / "killed") == whole
    results = [(tmp_path / name / "result.json").read_bytes() for name in ("whole", "killed")]
    assert results[0] == results[1]
