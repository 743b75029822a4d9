"""Events of three classes that differ in pt and multiplicity, quick to train on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from unseen.embed import OBJECTIVES, TrainingConfig
from unseen.embed.data import Batch
from unseen.embed.labels import encode
from unseen.embed.objectives import Problem
from unseen.events import Collection, Events, Schema
from unseen.events.normalisation import Normalisation
from unseen.registry import resolve

SCHEMA = Schema(
    name="toy",
    collections=(Collection(name="met", slots=1, type=1), Collection(name="jets", slots=4, type=2)),
)


FAMILIES = [[[], ["overlay"]], [[], [{"name": "rescale-pt", "factor": [2, 3]}]]]


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


def objective_settings(content: str | dict[str, Any], **changes: Any) -> TrainingConfig:
    """Training with an objective and whatever views, anomalies and parameters it asks for."""
    objective = resolve(content, OBJECTIVES, "objective")
    seen = objective.least_views > 1 or objective.needs_parameters
    needed = {"views": ["rotate"] if seen else [], "anomalies": ["rotate"] if objective.needs_anomalies else []}
    needed |= {"families": FAMILIES if objective.needs_families else []}
    return toy_settings(objective=content, **{**needed, **changes})


def toy_problem(events: Events, config: TrainingConfig) -> Problem:
    """What the objective of a training on these events is built for."""
    expand = config.expansion(events.schema)
    normalisation = Normalisation.fit(events)
    return Problem(config.encoder.dim, 3, expand.n_parameters, events.schema, normalisation, expand.n_families)


def toy_batch(events: Events, config: TrainingConfig, weight: np.ndarray | None = None, seed: int = 0) -> Batch:
    """The events as the objective of a training sees them."""
    batch = Batch.of(events, encode(events, config.labels), np.ones(len(events)) if weight is None else weight)
    return config.expansion(events.schema)(batch, torch.Generator().manual_seed(seed))
