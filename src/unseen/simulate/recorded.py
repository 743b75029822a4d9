"""Which columns the record of a simulated event has, known before anything is simulated."""

from __future__ import annotations

from unseen.simulate.settings import SimulationConfig
from unseen.simulate.shower_weights import weight_columns

__all__ = ["recorded"]

HARD_PROCESS = ("pt_hat", "m_hat", "n_taus")
FINAL_STATE = ("true_lepton", "true_lepton_pt", "n_true_leptons", "true_met")


def recorded(settings: SimulationConfig) -> tuple[str, ...]:
    """Columns of the record of events that are simulated with these settings."""
    return ("source", "slice", *HARD_PROCESS, *FINAL_STATE, *weight_columns(settings))
