"""A training on a few made-up events, up to its first step: what settings and schema decide shows before any work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import torch

from unseen.embed.assemble import assemble
from unseen.embed.inputs import learn_scaling
from unseen.embed.labels.tree import classify
from unseen.embed.populated import check_classes
from unseen.embed.settings import TrainingConfig
from unseen.events import Events, Schema
from unseen.events.normalisation import Normalisation

__all__ = ["rehearse"]

COPIES = 2  # made-up events of every process; fewer have no spread


def rehearse(
    config: TrainingConfig, schema: Schema, counts: Mapping[str, int], record: Collection[str] | None = None
) -> None:
    """Refuse settings that cannot train on events of this schema, in a fraction of a second and without events.

    `counts`: training events of every process. `record`: names of the truths that they will have; None: not known yet,
    so that labels may ask for any.
    Errors: SchemaError (objects, numbers or truths that labels, views or inputs need), UnknownNameError (a process),
    NotEnoughEventsError (a class that is empty or has too few events, one class where several are needed), ConfigError.
    """
    processes = {name: count for name, count in counts.items() if count > 0}
    events = _made_up(schema, tuple(counts), processes, config.labels.truths if record is None else record)
    _check_labels(config, events, processes)
    normalisation = Normalisation.fit(events, log_pt=config.log_pt)
    scaling = learn_scaling(config.inputs, events, normalisation, config.encoder.needs_pairs)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they are
        assemble(config, schema, normalisation, scaling, max(2, len(processes)))


def _made_up(schema: Schema, names: tuple[str, ...], present: Collection[str], record: Collection[str]) -> Events:
    """Events with every slot filled, in the order of `present`, with zeros as truths."""
    rng, n = np.random.default_rng(0), COPIES * max(1, len(present))
    objects = rng.uniform(0.1, 0.9, (n, schema.n_slots, schema.n_features))
    if "pt" in schema.features:
        objects[..., schema.feature("pt")] *= 100.0  # GeV
    label = np.repeat([names.index(name) for name in present], COPIES) if present else np.zeros(n, dtype=np.int64)
    return Events.create(
        schema,
        objects,
        np.ones(objects.shape[:2], dtype=bool),
        label=label,
        label_names=names or ("events",),
        record={name: np.zeros(n) for name in record},
    )


def _check_labels(config: TrainingConfig, events: Events, counts: Mapping[str, int]) -> None:
    """Errors of the labels, and classes that too few events have as far as processes alone decide it."""
    factors = config.labels.factors(events)
    # What may not be merged is the process, or made of it: the other properties of real events are not known here.
    sure = [factor for factor in factors if factor.merge == "never"]
    number = list(counts.values())
    full = [replace(factor, code=np.repeat(factor.code[::COPIES][: len(number)], number)) for factor in sure]
    n = sum(number)
    _, names, _ = classify(full, n, config.labels.least, config.labels.rare == "merge")
    if len(sure) == len(factors):
        check_classes(config, names, n)
