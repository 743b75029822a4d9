"""A small schema with a selection, events stored looser than it, two nuisances, and a model to fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unseen.embed import FineTuneConfig, Model, TrainingConfig, train
from unseen.events import Collection, Events, Requirement, Schema, Selection, select
from unseen.events.schema import Cut
from unseen.systematics import NuisanceSet

SCHEMA = Schema(
    name="small",
    collections=(Collection(name="met", slots=1, type=1), Collection(name="jets", slots=3, type=2, pt_min=10.0)),
    selection=Selection(
        objects={"jets": Cut(pt_min=12.0)}, any_of=(Requirement(collection="jets", pt_min=30.0, count=1),)
    ),
)
NUISANCES = NuisanceSet.parse(
    [{"name": "jet-scale", "size": 0.1, "forward": 0.0}, {"name": "normalisation", "label": "rate", "size": 0.1}]
)


def events(n: int, seed: int) -> Events:
    """Two processes, stored from 10 GeV, selected from 30 GeV."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.25).astype(int)
    objects, present = np.zeros((n, 4, 3), np.float32), np.ones((n, 4), dtype=bool)
    pt = 10.01 + rng.exponential(18.0, (n, 3)) * (1 + label[:, None])
    objects[:, 1:, 0] = np.sort(pt, axis=1)[:, ::-1]
    objects[:, 1:, 1] = rng.uniform(-2.5, 2.5, (n, 3))
    objects[:, :, 2] = rng.uniform(-3.1, 3.1, (n, 4))
    objects[:, 0, 0] = rng.exponential(20.0, n)
    present[:, 1:] = np.arange(3) < 1 + rng.integers(0, 3, (n, 1))
    return Events.create(
        SCHEMA,
        objects,
        present,
        label=label,
        label_names=("light", "heavy"),
        weight=rng.uniform(0.5, 1.5, n),
        record={"source": np.arange(n)},
    )


def stage_a(sample: Events, out: Path, **changes: Any) -> Model:
    """Two epochs of stage A on the selected events."""
    content = {"encoder": {"name": "mlp", "dim": 2, "hidden": [16]}, "epochs": 2, "batch_size": 256, "device": "cpu"}
    model = train(select(sample), TrainingConfig.parse({**content, **changes}), out, seed=3)
    assert isinstance(model, Model)
    return model


def settings(**changes: Any) -> FineTuneConfig:
    """Two short epochs and a short last fit."""
    refit = {"epochs": 2, "copies": 2, "batch_size": 1024}
    content = {"epochs": 2, "batch_size": 512, "device": "cpu", "validation_fraction": 0.2, "refit": refit}
    return FineTuneConfig.parse({**content, **changes})
