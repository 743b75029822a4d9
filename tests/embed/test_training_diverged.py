"""A training that diverges says where, and keeps the batch and the weights that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.embed.toy import toy_settings
from unseen.embed import train
from unseen.embed.data import Batch
from unseen.embed.diagnosis import STEPS_BETWEEN_LOOKS, Watch
from unseen.embed.inputs import learn_scaling
from unseen.embed.network import Network
from unseen.embed.objectives import Problem
from unseen.errors import NonFiniteError
from unseen.events import Events
from unseen.events.normalisation import Normalisation

HOT: dict[str, Any] = {"lr": 1e30, "gradient_clip": None, "warmup": 0.0, "validation_fraction": 0.0}


def test_the_batch_and_the_weights_reproduce_the_loss(toy: Events, tmp_path: Path) -> None:
    settings = toy_settings(**HOT, views=["rotate"])
    with pytest.raises(NonFiniteError, match=r"epoch 0, step 1 of 5.*diverged\.npz.*Lower lr \(now 1e\+30\)"):
        train(toy, settings, tmp_path, seed=1)
    saved = np.load(tmp_path / "diverged.npz")
    assert (saved["epoch"], saved["step"]) == (0, 1)
    assert not np.isfinite([saved["loss"], saved["gradient_norm"]]).all()
    batch = Batch(*(torch.from_numpy(saved[f"batch.{name}"]) for name in Batch.__dataclass_fields__))
    assert len(batch) == 120
    assert not np.array_equal(batch.objects, toy.objects[batch.instance])  # as the objective saw it: turned
    np.testing.assert_array_equal(batch.objects[..., 0], toy.objects[batch.instance][..., 0])
    state = {name.removeprefix("state."): torch.from_numpy(saved[name]) for name in saved if name.startswith("state.")}
    normalisation = Normalisation.fit(toy, log_pt=settings.log_pt)
    scaling = learn_scaling(settings.inputs, toy, normalisation)
    network = Network.build(settings.encoder, toy.schema, normalisation, settings.inputs, scaling)
    objective = settings.objective.build(Problem(4, 3, 2, toy.schema, normalisation))
    for part, name in ((network, "network."), (objective, "objective.")):
        part.load_state_dict({k.removeprefix(name): v for k, v in state.items() if k.startswith(name)})
    loss = objective(network(batch.objects, batch.present), batch).item()
    np.testing.assert_equal(loss, saved["loss"])


def test_a_lower_rate_trains_in_the_same_folder(toy: Events, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError):
        train(toy, toy_settings(**HOT), tmp_path, seed=1)
    train(toy, toy_settings(), tmp_path, seed=1)
    assert not (tmp_path / "diverged.npz").exists()


def test_a_validation_loss_that_is_not_finite_is_named(toy: Events, tmp_path: Path) -> None:
    # The one step of the epoch is fine; the weights that it leaves are not.
    settings = toy_settings(**HOT | {"validation_fraction": 0.2, "batch_size": 600, "epochs": 1})
    with pytest.raises(NonFiniteError, match=r"the validation loss is nan in epoch 0, step 0"):
        train(toy, settings, tmp_path, seed=1)
    assert len(np.load(tmp_path / "diverged.npz")["batch.target"]) == 120


@pytest.mark.parametrize("bad", [0, 3, STEPS_BETWEEN_LOOKS - 1])
def test_a_look_every_few_steps_finds_the_first_bad_one_with_its_weights(bad: int) -> None:
    """On a GPU the loss is read every few steps: here the same bookkeeping on tensors that look like a GPU's."""
    module = torch.nn.Linear(1, 1, bias=False)
    watch = Watch(every=STEPS_BETWEEN_LOOKS)
    empty = Batch(*(torch.zeros(0) for _ in Batch.__dataclass_fields__))
    found = None
    for round_ in range(2):
        for step in range(STEPS_BETWEEN_LOOKS):
            index = round_ * STEPS_BETWEEN_LOOKS + step
            with torch.no_grad():
                module.weight.fill_(index)
            assert found is None
            loss = torch.tensor(torch.nan if round_ == 1 and step >= bad else 1.0)
            found = watch.seen(index, loss, torch.tensor(1.0), empty, module)
    assert found is not None
    assert found.index == STEPS_BETWEEN_LOOKS + bad
    assert found.state["weight"].item() == found.index
