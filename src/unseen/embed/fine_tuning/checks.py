"""What is refused before a fine-tuning begins, and by which words."""

from __future__ import annotations

import numpy as np

from unseen.embed.ensemble import Ensemble
from unseen.embed.fine_tuning.settings import FineTuneConfig
from unseen.embed.model import Model
from unseen.embed.partners import partner_share, require_source
from unseen.embed.settings import TrainingConfig
from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NotEnoughEventsError,
    NuisanceError,
    SchemaError,
    SelectionError,
)
from unseen.events import Events, Schema
from unseen.events.selection import passes, remove_objects
from unseen.systematics import NuisanceSet

__all__ = ["check_fine_tuning", "check_partners", "check_sample", "one_model"]

LOOKED_AT = 4096  # events on which every nuisance has to change something


def one_model(model: Model | Ensemble) -> Model:
    """The model. Errors: ConfigError (an ensemble)."""
    if isinstance(model, Ensemble):
        raise ConfigError(
            f"an ensemble of {', '.join(model.members)}: fine-tune its members one by one, e.g. "
            f"model.members['{next(iter(model.members))}']"
        )
    return model


def check_fine_tuning(model: Model, events: Events, nuisances: NuisanceSet, config: FineTuneConfig) -> None:
    """Errors: SchemaError (not that of the model), and those of `check_sample`."""
    _same_schema(model.schema, events.schema)
    check_sample(events, nuisances, config)


def check_sample(events: Events, nuisances: NuisanceSet, config: FineTuneConfig) -> None:
    """What can be said before there is a model.

    Errors: NuisanceError, NegativeWeightError, SelectionError, NotEnoughEventsError.
    """
    if not len(nuisances):
        raise NuisanceError("no nuisance parameters: fine-tuning needs one at least, e.g. NuisanceSet.builtin()")
    nuisances.require_unit()
    negative = int((events.weight < 0).sum())
    if negative:
        raise NegativeWeightError(
            f"{negative} of {len(events)} events have a negative weight, which the cross-entropy of a ratio cannot "
            "take; fine-tune on a sample without (unseen.positive_weights reweights arrays)"
        )
    nuisances.check(events)
    _migration(events, nuisances, config)
    _all_act(events[np.linspace(0, len(events) - 1, min(LOOKED_AT, len(events))).astype(int)], nuisances, config.width)


def check_partners(events: Events, training: TrainingConfig) -> None:
    """Where the model's views are of re-simulated partners: SchemaError (nobody can tell), NotEnoughEventsError (none).

    Partners pass the selection, as the nominal events of the contrastive term do.
    """
    if training.n_partners:
        require_source(events)
        selection = events.schema.selection
        partner_share(events, np.flatnonzero(passes(remove_objects(events, selection.objects), selection)))


def _same_schema(trained: Schema, given: Schema) -> None:
    layout = [(s.collections, s.features, s.units) for s in (trained, given)]
    if layout[0] != layout[1]:
        raise SchemaError(
            f"the model was trained on schema '{trained.name}', these events have '{given.name}' with other "
            "collections, features or units: read them with the model's schema (unseen.read(path, schema=model.schema))"
        )
    if trained.selection != given.selection:
        raise SchemaError(
            f"the model was trained with the selection of schema '{trained.name}', these events have another one: read "
            "them with schema=model.schema"
        )


def _migration(events: Events, nuisances: NuisanceSet, config: FineTuneConfig) -> None:
    """SelectionError if the events were selected before, NotEnoughEventsError if (nearly) none passes."""
    selection = events.schema.selection
    kept = passes(remove_objects(events, selection.objects), selection)
    if kept.sum() < 2 or events.weight[kept].sum() <= 0:
        raise NotEnoughEventsError(
            f"{int(kept.sum())} of {len(events)} events pass the selection of '{events.schema.name}', with a weight of "
            f"{events.weight[kept].sum():g}: nothing to fine-tune on"
        )
    demanding = bool(selection.any_of or selection.all_of)
    moving = [each.name for each in nuisances.nuisances if each.kind == "shape"]
    if config.require_stored and demanding and moving and kept.all():
        raise SelectionError(
            f"all {len(events)} events pass the selection already, so {moving[0]} could move events out of it but none "
            "into it, and the ratio of rates would be wrong: give events as stored (unseen.read without select), or "
            "set require_stored: false if nothing was cut"
        )


def _all_act(events: Events, nuisances: NuisanceSet, width: float) -> None:
    """NuisanceError for a nuisance that changes nothing."""
    for column, nuisance in enumerate(nuisances.nuisances):
        nu = np.zeros(len(nuisances), dtype=np.float32)
        nu[column] = nuisance.prior.mean + width * nuisance.prior.width
        moved = nuisances.distort(events, nu)
        same = np.array_equal(moved.objects, events.objects) and np.array_equal(moved.present, events.present)
        if same and np.array_equal(moved.weight, events.weight):
            raise NuisanceError(
                f"nuisance '{nuisance.name}' does nothing to {len(events)} of these events at nu = {nu[column]:g}; "
                f"leave it out (nuisances.subset(...)), or look at its settings"
            )
