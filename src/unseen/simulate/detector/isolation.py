"""Isolation: how much else flies close to a lepton."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.pairs import close_pairs
from unseen.simulate.detector.particles import Particles
from unseen.simulate.detector.settings import ElectronSettings, MuonSettings

__all__ = ["isolated_leptons", "relative_isolation"]


def relative_isolation(candidates: Particles, leptons: NDArray[np.int64], radius: float) -> NDArray[np.float64]:
    """Sum of the pt of all other candidates within `radius` of each lepton (rows), over the lepton's pt."""
    chosen = candidates.take(leptons)
    i, j, _ = close_pairs(chosen, candidates, radius)
    other = j != leptons[i]
    total = np.bincount(i[other], weights=candidates.pt[j[other]], minlength=len(leptons))
    ratio: NDArray[np.float64] = total / chosen.pt
    return ratio


def isolated_leptons(
    candidates: Particles, leptons: NDArray[np.bool_], settings: ElectronSettings | MuonSettings
) -> NDArray[np.int64]:
    """Rows of the `leptons` (mask) that are within acceptance and isolated."""
    accepted = (candidates.pt > settings.pt_min) & (np.abs(candidates.eta) < settings.abs_eta_max)
    rows = np.flatnonzero(leptons & accepted)
    return rows[relative_isolation(candidates, rows, settings.isolation_radius) < settings.isolation_max]
