"""Two processes train like one with the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.embed.test_data import table
from tests.embed.toy import toy_events, toy_settings
from tests.embed.training_script import main
from unseen.embed import train
from unseen.embed.data import Batches
from unseen.embed.launch import plan_launch
from unseen.errors import ConfigError, NotEnoughEventsError

ROOT = Path(__file__).parents[2]


def losses(folder: Path) -> np.ndarray:
    history = json.loads((folder / "history.json").read_text())
    return np.array([[epoch["train_loss"], epoch["val_loss"]] for epoch in history])


def run(*command: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings `one` and `two`, of one process and of two with the same batches."""
    out = tmp_path_factory.mktemp("devices")
    main(str(out / "one"), 1)
    said = run("-W", "error", "-m", "tests.embed.training_script", str(out / "two"), "2")
    assert [line.split()[0] for line in said.splitlines()] == ["1", "2", "3"]
    return out


def test_two_processes_train_like_one(trained: Path) -> None:
    # Sums in another order, amplified by Adam: float32 to a few parts in 1e5 after 24 steps.
    np.testing.assert_allclose(losses(trained / "two"), losses(trained / "one"), rtol=1e-4)


@pytest.mark.slow
def test_processes_of_torchrun_give_the_same_bits(trained: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "tests.embed.training_script")
    run(*launcher, str(tmp_path), "2")
    for name in ("model.safetensors", "model.json", "history.json"):
        assert (tmp_path / name).read_bytes() == (trained / "two" / name).read_bytes()


def test_processes_share_every_batch() -> None:
    events = toy_events(101, seed=1)
    whole = list(Batches(table(events), np.arange(101), 50))
    parts = [list(Batches(table(events), np.arange(101), 50, part, 2)) for part in range(2)]
    assert [len(batch) for batch in whole] == [51, 50]
    for i, batch in enumerate(whole):
        rows = np.concatenate([part[i].instance for part in parts])
        assert len(parts[0][i]) == len(parts[1][i]) == len(batch) // 2
        np.testing.assert_array_equal(rows, batch.instance[: len(rows)])


def test_what_cannot_be_shared_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughEventsError, match="cannot be shared by 4 devices"):
        train(toy_events(60, seed=1), toy_settings(devices=4, validation_fraction=0.05), tmp_path, seed=1)
    with pytest.raises(ConfigError, match="torchrun --nnodes 2 --nproc-per-node 4"):
        train(toy_events(60, seed=1), toy_settings(devices=4, nodes=2), tmp_path, seed=1)


def test_the_launcher_is_recognised_by_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not plan_launch(2, 1).outside
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_PROCID", "3")
    launch = plan_launch(4, 2)
    assert (launch.processes, launch.outside, launch.rank, launch.spawns, launch.writes) == (8, True, 3, False, False)
    # A job of eight tasks in which one process trains on two devices.
    assert plan_launch(2, 1).spawns
    assert plan_launch(1, 1).writes
