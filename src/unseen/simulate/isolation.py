"""Isolation of leptons at truth level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.kinematics import pseudorapidity
from unseen.simulate.particles import INVISIBLE, Float, Int, Particles, ragged_indices

__all__ = ["LeptonCut", "cone_sum"]


@dataclass(frozen=True)
class LeptonCut:
    """What a true lepton must be to stand a chance of passing the detector; looser than what is selected there."""

    pt_min: float
    abs_eta_max: float = 3.1
    isolation: float = 0.5
    radius: float = 0.4
    # Softer particles do not reach the calorimeters; photons this close belong to an electron.
    cone_pt_min: float = 1.0
    photon_radius: float = 0.1


def cone_sum(leptons: Float, identity: NDArray[np.int32], events: Particles, event: Int, cut: LeptonCut) -> Float:
    """Scalar pt in GeV of the visible particles of its event in the cone around each lepton (k, 4), (k,).

    The lepton itself counts, if it is in the event.
    """
    pt = np.hypot(events.p[:, 0], events.p[:, 1])
    visible = (pt > cut.cone_pt_min) & ~np.isin(np.abs(events.id), INVISIBLE)
    events, pt = events.where(visible), pt[visible]
    eta, phi = pseudorapidity(events.p), np.arctan2(events.p[:, 1], events.p[:, 0])
    counts = events.counts[event]
    rows = ragged_indices(events.offsets[:-1][event], counts)
    which = np.repeat(np.arange(len(leptons)), counts)
    d_eta = eta[rows] - pseudorapidity(leptons)[which]
    near = np.abs(d_eta) < cut.radius
    rows, which, d_eta = rows[near], which[near], d_eta[near]
    d_phi = np.abs(phi[rows] - np.arctan2(leptons[:, 1], leptons[:, 0])[which])
    distance2 = d_eta**2 + np.minimum(d_phi, 2 * np.pi - d_phi) ** 2
    radiated = (events.id[rows] == 22) & (np.abs(identity[which]) == 11) & (distance2 < cut.photon_radius**2)
    inside = (distance2 < cut.radius**2) & ~radiated
    total = np.bincount(which[inside], weights=pt[rows[inside]], minlength=len(leptons))
    return total.astype(np.float64)
