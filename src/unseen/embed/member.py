"""One training of one model on some rows of a sample."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from unseen.embed.assemble import assemble
from unseen.embed.data import Table, loss_weights, split_by_source
from unseen.embed.diagnosis import DIAGNOSIS
from unseen.embed.inputs import learn_scaling
from unseen.embed.labels import Labelling, population
from unseen.embed.launch import Launch
from unseen.embed.model import DESCRIPTION, WEIGHTS, Model
from unseen.embed.partners import partner_share, partners_among
from unseen.embed.progress import ProgressCallback
from unseen.embed.settings import TrainingConfig
from unseen.errors import UnseenError
from unseen.events import Events
from unseen.events.atomic import write_json
from unseen.events.normalisation import Normalisation
from unseen.seeds import small_seed

__all__ = ["FILES", "Work", "finished", "own_random_numbers", "provenance_of", "train_member"]

CHECKPOINT = "last.ckpt"
HISTORY = "history.json"
CLASSES = "classes.json"
FILES = (DESCRIPTION, WEIGHTS, HISTORY, CLASSES)
PACKAGES = ("unseen", "torch", "lightning", "numpy")
# So many events fix a mean to a thousandth of the spread; of more, as many are taken at equal distances.
NORMALISATION_EVENTS = 1_000_000


@dataclass(frozen=True)
class Work:
    """What all models of one training share: events and their classes, settings, processes."""

    events: Events
    labelling: Labelling
    config: TrainingConfig
    launch: Launch


def train_member(
    work: Work, rows: NDArray[np.int64], out: Path, seed: int, fingerprint: str, progress: ProgressCallback | None
) -> Model:
    """Train one model on the events `rows` and write it to `out`; a finished one is opened. Errors: as `train`."""
    # Importing Lightning takes seconds; only training needs it.
    from unseen.embed.bookkeeping import Bookkeeping
    from unseen.embed.fit import fit_network

    done = finished(out, fingerprint)
    if done is not None:
        return done
    if work.launch.writes:
        for name in FILES:
            (out / name).unlink(missing_ok=True)
    events, config = work.events, work.config
    fit, held = split_by_source(events, config.validation_fraction, seed, rows)
    if config.n_partners:
        partner_share(events, fit)
    table = _table(work, rows)
    data, validation = (table.of(side, partners_among(events, side, config.n_partners)) for side in (fit, held))
    measured = events[_spread(fit, NORMALISATION_EVENTS)]
    normalisation = Normalisation.fit(measured, log_pt=config.log_pt)
    scaling = learn_scaling(config.inputs, measured, normalisation, config.encoder.needs_pairs)
    del measured
    with own_random_numbers(small_seed(seed, "train", "initial")):
        network, expand, objective = assemble(config, events.schema, normalisation, scaling, len(work.labelling.names))
        objective.attach(network)
        book = Bookkeeping(config, seed, fingerprint, out / CHECKPOINT, progress)
        fit_network(network, objective, expand, data, validation, book, work.launch)
    provenance = provenance_of(fingerprint, len(fit), len(held), book.epoch)
    names = work.labelling.names
    model = Model(network.cpu().eval(), config, events.schema, normalisation, names, seed, provenance, scaling)
    if work.launch.writes:
        write_json(out / HISTORY, book.history)
        write_json(out / CLASSES, population(work.labelling.of(rows), events.weight[rows]))
        model.save(out)
        for name in (CHECKPOINT, DIAGNOSIS):
            (out / name).unlink(missing_ok=True)
    if work.launch.outside:
        distributed.barrier()  # nobody reads, or trains the next one, before it is written
    return model


def finished(out: Path, fingerprint: str) -> Model | None:
    """The model in `out` if it is whole and the one of this fingerprint."""
    try:
        model = Model.load(out)
    except UnseenError:
        return None
    return model if model.provenance.get("fingerprint") == fingerprint else None


def _table(work: Work, rows: NDArray[np.int64]) -> Table:
    """The columns of the sample with the weights that these rows have in the loss."""
    events, config, target = work.events, work.config, work.labelling.target
    weight = np.zeros(len(events))
    own = events.weight[rows].astype(np.float64) if config.event_weights else np.ones(len(rows))
    weight[rows] = loss_weights(own, target[rows], config.balance, config.balance_power)
    return Table(events.objects, events.present, target, work.labelling.levels, weight, rows)


def _spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of the rows, at equal distances."""
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)])


def provenance_of(fingerprint: str, n_train: int, n_validation: int, epochs: int) -> dict[str, Any]:
    """What a model folder says of where it comes from."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "fingerprint": fingerprint,
        "n_train": n_train,
        "n_validation": n_validation,
        "epochs": epochs,
        "versions": {"python": platform.python_version(), **versions},
    }


@contextlib.contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seed torch inside the block and give the caller's random state back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
