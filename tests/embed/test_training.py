from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.embed.toy import objective_settings, toy_events, toy_settings
from unseen.embed import OBJECTIVES, TrainingConfig, linear_probe, train
from unseen.embed.data import split_by_source
from unseen.embed.loop import learning_rate_factor
from unseen.errors import NotEnoughEventsError
from unseen.events import Events
from unseen.events.normalisation import Normalisation

FILES = ("model.safetensors", "model.json", "history.json", "classes.json")


class StopHereError(Exception):
    pass


def stop_after(epochs: int) -> object:
    def progress(done: int, total: int, values: Mapping[str, float]) -> None:
        if done == epochs:
            raise StopHereError

    return progress


def content(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_the_folder_of_a_finished_training(toy: Events, tmp_path: Path) -> None:
    seen = []
    train(toy, toy_settings(), tmp_path, seed=1, progress=lambda done, total, values: seen.append((done, total)))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)
    history = json.loads((tmp_path / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1, 2]
    assert set(history[0]) == {"epoch", "train_loss", "val_loss", "learning_rate"}
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    model = json.loads((tmp_path / "model.json").read_text())
    assert model["label_names"] == ["a", "b", "c"]
    assert model["provenance"]["n_train"] + model["provenance"]["n_validation"] == len(toy)


def test_equal_seeds_give_equal_bytes_whatever_the_global_state(toy: Events, tmp_path: Path) -> None:
    torch.manual_seed(1)
    train(toy, toy_settings(), tmp_path / "a", seed=1)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    train(toy, toy_settings(), tmp_path / "b", seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    train(toy, toy_settings(), tmp_path / "c", seed=2)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_continues_with_its_views_and_its_teacher(name: str, toy: Events, tmp_path: Path) -> None:
    settings = objective_settings(name, epochs=2, views=["rotate"])
    train(toy, settings, tmp_path / "whole", seed=5)
    with pytest.raises(StopHereError):
        train(toy, settings, tmp_path / "cut", seed=5, progress=stop_after(1))
    train(toy, settings, tmp_path / "cut", seed=5)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    "changes", [{}, {"optimiser": "lars", "lr": 1.0}, {"early_stopping": 2, "epochs": 6}, {"validation_fraction": 0.0}]
)
def test_an_interrupted_training_continues_to_the_same_bits(
    changes: dict[str, object], toy: Events, tmp_path: Path
) -> None:
    settings = toy_settings(**changes)
    train(toy, settings, tmp_path / "whole", seed=5)
    epochs = len(json.loads((tmp_path / "whole" / "history.json").read_text()))
    for done in range(1, epochs + 1):
        with pytest.raises(StopHereError):
            train(toy, settings, tmp_path / "cut", seed=5, progress=stop_after(done))
        assert [p.name for p in (tmp_path / "cut").iterdir()] == ["last.ckpt"]
    train(toy, settings, tmp_path / "cut", seed=5)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


# A shell gives the jobs in its background a SIGINT that is ignored, and Python then leaves it so.
SCRIPT = """
import signal, sys, time, torch
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.embed.toy import objective_settings, toy_events, toy_settings
from unseen.embed import train
torch.set_num_threads(1)
def report(done, total, values):
    print(done, flush=True)
    time.sleep(0.2 if done > 2 else 0)  # whoever ends this may be busy
train(toy_events(600, seed=0), toy_settings(epochs=20), sys.argv[1], seed=5, progress=report)
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_a_training_killed_or_stopped_by_the_user_continues_to_the_same_bits(
    way: signal.Signals, toy: Events, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "cut")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        os.kill(process.pid, way)
        error = process.communicate()[1]
    if way == signal.SIGINT:
        assert error.strip().endswith("KeyboardInterrupt")
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["last.ckpt"]
    resumed: list[int] = []
    train(toy, toy_settings(epochs=20), tmp_path / "cut", seed=5, progress=lambda done, *_: resumed.append(done))
    train(toy, toy_settings(epochs=20), tmp_path / "whole", seed=5)
    assert resumed[0] > 3
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_finished_training_is_not_repeated_but_another_one_is(toy: Events, tmp_path: Path) -> None:
    train(toy, toy_settings(), tmp_path, seed=1)
    first = content(tmp_path)
    train(toy, toy_settings(), tmp_path, seed=1, progress=stop_after(1))
    assert content(tmp_path) == first
    with pytest.raises(StopHereError):
        train(toy, toy_settings(), tmp_path, seed=2, progress=stop_after(1))
    train(toy, toy_settings(), tmp_path, seed=1)
    assert content(tmp_path) == first


def test_the_checkpoint_of_another_training_is_replaced(toy: Events, tmp_path: Path) -> None:
    with pytest.raises(StopHereError):
        train(toy, toy_settings(), tmp_path / "a", seed=1, progress=stop_after(2))
    seen: list[int] = []
    train(toy, toy_settings(), tmp_path / "a", seed=2, progress=lambda done, *_: seen.append(done))
    train(toy, toy_settings(), tmp_path / "b", seed=2)
    assert seen == [1, 2, 3]
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    events = toy_events(300, seed=3)
    settings = toy_settings(epochs=60, lr=0.03, early_stopping=3, validation_fraction=0.3)
    train(events, settings, tmp_path / "stopped", seed=1)
    losses = [entry["val_loss"] for entry in json.loads((tmp_path / "stopped" / "history.json").read_text())]
    assert len(losses) < 60
    assert np.argmin(losses) == len(losses) - 4


def test_one_class_is_refused(toy: Events, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughEventsError, match="needs two classes or more"):
        train(toy.of("a"), toy_settings(), tmp_path, seed=1)


def test_the_embedding_tells_the_classes_apart(toy: Events, tmp_path: Path) -> None:
    test = toy_events(1500, seed=9)
    chance = np.bincount(test.label).max() / len(test)
    result = linear_probe(train(toy, toy_settings(epochs=15), tmp_path, seed=1).embed(test), test.label, "abc")
    assert result.accuracy > chance + 0.15


@pytest.mark.parametrize("balance", ["natural", "sampler", "weights"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_every_balance_and_precision_trains(balance: str, precision: str, toy: Events, tmp_path: Path) -> None:
    model = train(toy, toy_settings(epochs=1, balance=balance, precision=precision), tmp_path, seed=1)
    assert np.isfinite(model.embed(toy)).all()


def test_learning_rate_warms_up_and_falls() -> None:
    settings = TrainingConfig(warmup=0.1, lr_floor=0.01)
    rates = [learning_rate_factor(step, 100, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] == pytest.approx(0.01)


def test_normalisation_does_not_see_the_validation_share(toy: Events, tmp_path: Path) -> None:
    settings = toy_settings(epochs=1)
    fit, held = split_by_source(toy, settings.validation_fraction, seed=4)
    objects = toy.objects.copy()
    objects[held] *= 100.0
    other = toy.replace_objects(objects, toy.present)
    first, second = (train(events, settings, tmp_path / str(i), seed=4) for i, events in enumerate((toy, other)))
    assert second.normalisation == first.normalisation == Normalisation.fit(toy[fit], log_pt=settings.log_pt)
    assert first.normalisation != Normalisation.fit(toy, log_pt=settings.log_pt)
    np.testing.assert_array_equal(second.embed(toy[fit]), first.embed(toy[fit]))
