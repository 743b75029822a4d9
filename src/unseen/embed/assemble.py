"""The modules of a training from its settings: network, views, objective."""

from __future__ import annotations

from typing import NamedTuple

from unseen.embed.expand import Expansion
from unseen.embed.inputs import Scaling
from unseen.embed.network import Network
from unseen.embed.objectives import Objective, Problem
from unseen.embed.settings import TrainingConfig
from unseen.events import Schema
from unseen.events.normalisation import Normalisation

__all__ = ["Assembly", "assemble"]


class Assembly(NamedTuple):
    """What a training consists of, untrained."""

    network: Network
    expand: Expansion
    objective: Objective


def assemble(
    config: TrainingConfig, schema: Schema, normalisation: Normalisation, scaling: Scaling, n_classes: int
) -> Assembly:
    """Build the modules for events of this schema; initial weights come from torch's current generator.

    `normalisation` and `scaling` are those of the training events. Errors: SchemaError (the schema lacks what a view,
    the inputs or the encoder needs), ConfigError.
    """
    network = Network.build(config.encoder, schema, normalisation, config.inputs, scaling)
    expand = config.expansion(schema, normalisation)
    problem = Problem(config.encoder.dim, n_classes, expand.n_parameters, schema, normalisation, expand.n_families)
    return Assembly(network, expand, config.objective.build(problem))
