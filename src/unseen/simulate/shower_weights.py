"""Weights of Pythia's shower variations: what an event would weigh if its showers had run at another scale.

Method: Mrenna and Skands, arXiv:1605.08352. Every trial emission, accepted or not, contributes the ratio of its
probabilities at the other and at the nominal scale, so the mean weight of all generated events is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import PythiaSettingsError
from unseen.simulate.pythia import FIDELITY, Generator, RawBatch
from unseen.simulate.settings import SimulationConfig

__all__ = ["SWITCHES", "TUNING", "VARIATIONS", "check_variations", "shower_weights", "varied", "weight_columns"]

# Factor on the renormalisation scale of QCD emissions. `up` is the smaller one: a larger coupling and more radiation.
VARIATIONS = {
    "isr_up": "isr:muRfac=0.5",
    "isr_down": "isr:muRfac=2.0",
    "fsr_up": "fsr:muRfac=0.5",
    "fsr_down": "fsr:muRfac=2.0",
}
# Emissions of the final-state shower below sqrt(20) x 0.5 GeV = 2.2 GeV are not varied: with Pythia's own limit of
# 1 GeV they make most of the spread of the weights (docs/validation/simulation.md).
TUNING = ("UncertaintyBands:FSRpTmin2Fac=20",)
SWITCHES = (
    "UncertaintyBands:doVariations=on",
    "UncertaintyBands:List={" + ",".join(f"{name} {what}" for name, what in VARIATIONS.items()) + "}",
)
# Keeps logarithms finite; the smallest weight in 164,000 events of three processes was 0.006.
FLOOR = 1e-3


def weight_columns(config: SimulationConfig) -> tuple[str, ...]:
    """Record columns of weight ratios that a simulation with these settings writes, for `weights` and its relatives."""
    return tuple(VARIATIONS) if config.shower_weights else ()


def varied(settings: Sequence[str]) -> tuple[str, ...]:
    """Settings that switch the variations on; those of the process come after TUNING, so they may choose otherwise."""
    return (*TUNING, *settings, *SWITCHES)


@cache
def check_variations(name: str, settings: tuple[str, ...]) -> None:
    """Let Pythia read the settings, initialise and list its weights, once per program. Errors: PythiaSettingsError."""
    _columns(Generator(name, (*varied(settings), *FIDELITY["fast"]), seed=1).weight_names(), name)


def shower_weights(batch: RawBatch, name: str) -> dict[str, NDArray[Any]]:
    """The columns of VARIATIONS, float32 (n,): weights over the nominal weight, not clipped but for FLOOR.

    Errors: PythiaSettingsError (process `name` has settings with which Pythia gives none).
    """
    weights = batch.weights()
    return {
        column: np.maximum(weights[:, index] / weights[:, 0], FLOOR).astype(np.float32)
        for column, index in _columns(batch.weight_names, name).items()
    }


def _columns(names: Sequence[str], process: str) -> dict[str, int]:
    """Where each of VARIATIONS is among Pythia's weights."""
    if missing := [column for column in VARIATIONS if column not in names]:
        raise PythiaSettingsError(
            f"process '{process}': `shower_weights` asks for the weights {', '.join(missing)}, and Pythia gives none "
            "with the settings of this process: take PartonShowers:model and Weights:suppressAUX out of them"
        )
    return {column: names.index(column) for column in VARIATIONS}
