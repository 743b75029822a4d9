"""The training sample of stage B as columns: classes, weights of both terms, what the nuisances read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.embed.data import Table, class_draws, loss_weights, split_by_source
from unseen.embed.fine_tuning.expand import Side
from unseen.embed.labels import Labelling
from unseen.embed.partners import Partners, partners_among
from unseen.embed.settings import TrainingConfig
from unseen.embed.training import labelling_of
from unseen.events import Events
from unseen.events.selection import remove_objects
from unseen.systematics import NuisanceSet
from unseen.systematics.selecting import select_tensors

__all__ = ["BLOCK", "Prepared", "prepare"]

BLOCK = 16384  # events at a time


@dataclass(frozen=True)
class Prepared:
    """`table` of all stored events, rows `fit` and `held` of it, columns beside it, classes, who passes nominally (n,).

    partners: the re-simulated ones that `fit` and `held` have among those that pass, where the views are of any.
    relative (n,): event weights over the mean weight of a nominal event that passes, per stored event.
    """

    table: Table
    fit: NDArray[np.int64]
    held: NDArray[np.int64]
    side: Side
    labelling: Labelling
    passes: NDArray[np.bool_]
    relative: NDArray[np.float64]
    partners: tuple[Partners | None, Partners | None] = (None, None)

    @property
    def sides(self) -> tuple[Table, Table]:
        """The tables of `fit` and `held`."""
        return self.table.of(self.fit, self.partners[0]), self.table.of(self.held, self.partners[1])


def prepare(events: Events, nuisances: NuisanceSet, config: TrainingConfig, seed: int) -> Prepared:
    """Split and weight the events. Errors: NotEnoughEventsError, SchemaError (labels), WeightError."""
    fit, held = split_by_source(events, config.validation_fraction, seed)
    # What the encoder sees has no objects that fail their cut, so the classes must not know them either.
    labelling = labelling_of(remove_objects(events, events.schema.selection.objects), config)
    target, passes = labelling.target, _passes(events)
    relative = events.weight * len(events) / events.weight[passes].sum()
    weight, rate = np.zeros(len(events)), np.zeros(len(events))
    own = events.weight if config.event_weights else np.ones(len(events))
    for rows in filter(len, (fit, held)):
        weight[rows] = loss_weights(own[rows], target[rows], config.balance, config.balance_power)
        rate[rows] = relative[rows] * _over_draws(target[rows], config)
    columns: dict[str, Any] = {name: _column(events, name) for name in nuisances.columns}
    side = Side(torch.tensor(rate, dtype=torch.float32), torch.tensor(events.label), columns)
    table = Table(events.objects, events.present, target, labelling.levels, weight, np.arange(len(events)))
    mine, theirs = (partners_among(events, rows, config.n_partners, passes[rows]) for rows in (fit, held))
    return Prepared(table, fit, held, side, labelling, passes, relative, (mine, theirs))


def _over_draws(target: NDArray[np.int64], config: TrainingConfig) -> NDArray[np.float64]:
    """One over how often an event is drawn in an epoch: a sampler shows rare classes more often than they occur."""
    counts = np.bincount(target)
    draws = class_draws(target, config.balance, config.balance_power)
    return np.asarray((counts / draws.clip(1))[target])


def _column(events: Events, name: str) -> torch.Tensor:
    return torch.tensor(events.label if name == "label" else np.asarray(events.record[name]))


def _passes(events: Events) -> NDArray[np.bool_]:
    parts = []
    for i in range(0, len(events), BLOCK):
        x, there = torch.tensor(events.objects[i : i + BLOCK]), torch.tensor(events.present[i : i + BLOCK])
        parts.append(select_tensors(events.schema, x, there).passes.numpy())
    return np.concatenate(parts)
