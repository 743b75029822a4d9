"""Electrons and muons: efficiency, resolution and the photons that electrons radiate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from unseen.simulate.detector.kinds import ELECTRON, MUON, PHOTON
from unseen.simulate.detector.pairs import close_pairs
from unseen.simulate.detector.particles import Particles, concatenate
from unseen.simulate.detector.settings import DetectorSettings, ElectronSettings, MuonSettings
from unseen.simulate.detector.smearing import calorimeter_sigma, fluctuation, plateau, track_sigma

__all__ = ["Leptons", "efficiency", "measure_leptons", "recover_photons"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def efficiency(settings: ElectronSettings | MuonSettings, pt: Array, eta: Array) -> Array:
    """Probability to reconstruct a lepton of true pt (GeV) and eta, (n,)."""
    turn_on: Array = ndtr((pt - settings.turn_on) / settings.turn_on_width)
    return plateau(settings.efficiency, eta) * turn_on


@dataclass(frozen=True)
class Leptons:
    """Identified electrons and muons: their rows among all particles, as measured, and the photons they absorbed."""

    rows: Index
    measured: Particles
    photons: Index


def recover_photons(particles: Particles, electrons: Index, radius: float) -> tuple[Particles, Index]:
    """The `electrons` (rows) with all photons within `radius` added to the nearest one, and the rows of those photons.

    The direction stays that of the electron's track.
    """
    bare = particles.take(electrons)
    photons = np.flatnonzero(particles.kind == PHOTON)
    i, j, distance2 = close_pairs(bare, particles.take(photons), radius)
    order = np.lexsort((distance2, j))
    i, j = i[order], j[order]
    nearest = np.ones(len(j), dtype=np.bool_)
    nearest[1:] = j[1:] != j[:-1]
    i, used = i[nearest], photons[j[nearest]]
    radiated = np.bincount(i, weights=particles.e[used], minlength=len(bare))
    return bare.scaled(1.0 + radiated / bare.e), used


def measure_leptons(particles: Particles, u: Array, z: Array, settings: DetectorSettings) -> Leptons:
    """Identify and measure leptons; `u` uniform in [0, 1) and `z` standard normal, one per particle."""
    found: list[Index] = []
    for kind, lepton in ((ELECTRON, settings.electrons), (MUON, settings.muons)):
        rows = np.flatnonzero(particles.kind == kind)
        found.append(rows[u[rows] < efficiency(lepton, particles.pt[rows], particles.eta[rows])])
    electrons, photons = recover_photons(particles, found[0], settings.electrons.recovery_radius)
    muons = particles.take(found[1])
    sigma = calorimeter_sigma(settings.electrons.resolution, electrons.e, electrons.eta)
    electrons = electrons.scaled(settings.electrons.response * fluctuation(sigma, z[found[0]]))
    sigma = track_sigma(settings.muons.resolution, muons.pt, muons.eta)
    muons = muons.scaled(fluctuation(sigma, z[found[1]]))
    return Leptons(np.concatenate(found), concatenate(electrons, muons), photons)
