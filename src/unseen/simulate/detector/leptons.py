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
from unseen.simulate.detector.smearing import bremsstrahlung, calorimeter_sigma, fluctuation, plateau, track_sigma

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


def measure_leptons(particles: Particles, rng: np.random.Generator, settings: DetectorSettings) -> Leptons:
    """Identify and measure electrons and muons."""
    rows = _identify(particles, ELECTRON, rng, settings.electrons)
    electrons, photons = recover_photons(particles, rows, settings.electrons.recovery_radius)
    electrons = electrons.scaled(bremsstrahlung(settings.electrons.material, electrons.eta, rng))
    sigma = calorimeter_sigma(settings.electrons.resolution, electrons.e, electrons.eta)
    electrons = electrons.scaled(fluctuation(sigma, rng.standard_normal(len(electrons))))
    muon_rows = _identify(particles, MUON, rng, settings.muons)
    muons = particles.take(muon_rows)
    sigma = track_sigma(settings.muons.resolution, muons.pt, muons.eta)
    muons = muons.scaled(fluctuation(sigma, rng.standard_normal(len(muons))))
    return Leptons(np.concatenate([rows, muon_rows]), concatenate(electrons, muons), photons)


def _identify(
    particles: Particles, kind: int, rng: np.random.Generator, settings: ElectronSettings | MuonSettings
) -> Index:
    rows = np.flatnonzero(particles.kind == kind)
    return rows[rng.random(len(rows)) < efficiency(settings, particles.pt[rows], particles.eta[rows])]
