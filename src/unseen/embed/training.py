"""`train`: from labelled simulation to a model folder, resumable to the same bits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unseen.embed.data import Batch, loss_weights, split_by_source
from unseen.embed.inputs import learn_scaling
from unseen.embed.labels import encode, population, population_table
from unseen.embed.model import DESCRIPTION, WEIGHTS, Model
from unseen.embed.network import Network
from unseen.embed.objectives import Problem
from unseen.embed.progress import ProgressCallback, reporter
from unseen.embed.settings import TrainingConfig
from unseen.errors import NotEnoughEventsError, UnseenError
from unseen.events import Events
from unseen.events.atomic import write_json
from unseen.events.normalisation import Normalisation
from unseen.seeds import small_seed

__all__ = ["train"]

CHECKPOINT = "last.ckpt"
HISTORY = "history.json"
CLASSES = "classes.json"
PACKAGES = ("unseen", "torch", "lightning", "numpy")


def train(
    events: Events,
    config: TrainingConfig,
    out: str | Path,
    seed: int,
    progress: bool | ProgressCallback = False,
    say: Callable[[str], None] | None = None,
) -> Model:
    """Train an embedding on simulated events and write it to the folder `out`.

    Everything is learned from these events: normalisation and weights from all but the validation share. Equal
    events, settings, seed and thread count give equal bits, also when a killed training is started again: it continues
    after the last whole epoch. A finished training is opened, not repeated; one of other events, settings or seed in
    `out` is replaced. `progress`: True for a bar, or a function of (epochs done, epochs, losses). `say` gets the table
    of the classes before the first epoch; `classes.json` has it in full.
    Errors: NotEnoughEventsError, NegativeWeightError, WeightError, NonFiniteError (diverged), ConfigError (no GPU).
    """
    # Importing Lightning takes seconds; only training needs it.
    from unseen.embed.fit import fit_network
    from unseen.embed.loop import Bookkeeping

    out = Path(out)
    labelling = encode(events, config.labels)
    if config.objective.needs_classes and len(labelling.names) < 2:
        raise NotEnoughEventsError(
            f"objective '{config.objective.name}' needs two classes or more; labels '{config.labels.name}' of the "
            f"{len(events)} training events give {len(labelling.names)}: {', '.join(labelling.names) or 'none'}"
        )
    fingerprint = _fingerprint(events, config, seed)
    finished = _finished(out, fingerprint)
    if finished is not None:
        return finished
    if say is not None:
        say(population_table(labelling))
    fit, held = split_by_source(events, config.validation_fraction, seed)
    normalisation = Normalisation.fit(events[fit], log_pt=config.log_pt)
    scaling = learn_scaling(config.inputs, events[fit], normalisation, config.encoder.needs_pairs)
    weight = loss_weights(events, labelling.target, config.balance, config.balance_power, config.event_weights)
    train_data, held_data = (Batch.of(events[rows], labelling.of(rows), weight[rows]) for rows in (fit, held))
    with _own_random_numbers(small_seed(seed, "train", "initial")), reporter(progress) as report:
        network = Network.build(config.encoder, events.schema, normalisation, config.inputs, scaling)
        expand = config.expansion(events.schema, normalisation)
        problem = Problem(config.encoder.dim, len(labelling.names), expand.n_parameters, events.schema, normalisation)
        objective = config.objective.build(problem)
        objective.attach(network)
        book = Bookkeeping(config, seed, fingerprint, out / CHECKPOINT, report)
        fit_network(network, objective, expand, train_data, held_data, book)
    provenance = _provenance(fingerprint, len(fit), len(held), book.epoch)
    parts = (network.cpu().eval(), config, events.schema, normalisation, labelling.names, seed, provenance, scaling)
    model = Model(*parts)
    write_json(out / HISTORY, book.history)
    write_json(out / CLASSES, population(labelling, events.weight))
    model.save(out)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return model


def _fingerprint(events: Events, config: TrainingConfig, seed: int) -> str:
    """SHA-256 of what determines the result: events, settings, seed."""
    digest = hashlib.sha256(json.dumps([config.model_dump(mode="json"), seed, events.label_names]).encode())
    digest.update(events.schema.model_dump_json().encode())
    for column in (events.objects, events.present, events.label, events.weight):
        digest.update(np.ascontiguousarray(column).tobytes())
    for name, column in sorted(events.record.items()):
        digest.update(name.encode() + np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _finished(out: Path, fingerprint: str) -> Model | None:
    """The model in `out` if it is the one that this training would give; a different or damaged one is removed."""
    try:
        model = Model.load(out)
    except UnseenError:
        model = None
    if model is not None and model.provenance.get("fingerprint") == fingerprint:
        return model
    for name in (DESCRIPTION, WEIGHTS, HISTORY, CLASSES):
        (out / name).unlink(missing_ok=True)
    return None


def _provenance(fingerprint: str, n_train: int, n_validation: int, epochs: int) -> dict[str, Any]:
    versions = {name: version(name) for name in PACKAGES}
    return {
        "fingerprint": fingerprint,
        "n_train": n_train,
        "n_validation": n_validation,
        "epochs": epochs,
        "versions": {"python": platform.python_version(), **versions},
    }


@contextlib.contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Seed torch inside the block and give the caller's random state back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
