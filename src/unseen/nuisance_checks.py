"""What is refused of a run's nuisance parameters before its events are made or read."""

from __future__ import annotations

from collections.abc import Collection

from unseen.config import Config
from unseen.errors import NuisanceError
from unseen.events import Schema
from unseen.simulate import SimulationConfig, weight_columns
from unseen.simulate.recorded import recorded
from unseen.systematics import NuisanceSet
from unseen.systematics.checks import checked_nu, processes_there
from unseen.systematics.nuisance_set import LIMIT

__all__ = ["check_nuisances"]


def check_nuisances(config: Config, background: Collection[str]) -> None:
    """Refuse nuisances that have nothing to act on, and values of nu that no distortion is meant for.

    `background`: the labels that the expected events carry. Errors: SchemaError, NuisanceError, NuisanceRangeError.
    """
    schema = Schema.load(config.schema_)
    if config.systematics is None:
        return
    for row in config.systematics.nuisances:
        row.collections(schema)
    nuisances = config.systematics.nuisance_set
    checked_nu(nuisances.nu(**config.data.nu), 1, nuisances.nuisances, LIMIT)
    processes_there(background, nuisances.nuisances, "pools.mixture")
    if config.simulate is not None:
        _check_columns(nuisances, config.simulate)


def _check_columns(nuisances: NuisanceSet, settings: SimulationConfig) -> None:
    """NuisanceError if a nuisance reads a column that simulated events do not have."""
    made = recorded(settings)
    weights = weight_columns(settings.model_copy(update={"shower_weights": True}))
    for nuisance in nuisances.nuisances:
        for column in nuisance.columns:
            if column not in (*made, "label"):
                way = "set simulate.shower_weights: true" if column in weights else "leave it out"
                raise NuisanceError(
                    f"nuisance '{nuisance.name}' needs the column '{column}' in the events' record, and 'simulate' "
                    f"makes {', '.join(made)}: {way}, or take the events from 'files' that have this column, "
                    "e.g. with weights of another generator"
                )
