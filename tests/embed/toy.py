"""Events of three classes that differ in pt and multiplicity, quick to train on."""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.embed import TrainingConfig
from unseen.events import Collection, Events, Schema

SCHEMA = Schema(
    name="toy",
    collections=(Collection(name="met", slots=1, type=1), Collection(name="jets", slots=4, type=2)),
)


def toy_events(n: int, seed: int, copies: int = 1) -> Events:
    """n events, every generated event `copies` times (same source, other noise)."""
    rng = np.random.default_rng(seed)
    label = np.repeat(rng.integers(0, 3, n // copies), copies)
    objects = rng.normal(size=(n, 5, 3))
    objects[..., 0] = rng.exponential(20.0, (n, 5)) * (1 + label[:, None]) + 5.0
    objects[:, 0, 1] = 0.0
    present = np.arange(5) < 1 + rng.poisson(1.0 + label)[:, None]
    source = np.repeat(np.arange(n // copies), copies)
    return Events.create(SCHEMA, objects, present, label=label, label_names=("a", "b", "c"), record={"source": source})


def toy_settings(**changes: Any) -> TrainingConfig:
    """Three epochs on one CPU."""
    return TrainingConfig.parse({"epochs": 3, "batch_size": 128, "device": "cpu", **changes})
