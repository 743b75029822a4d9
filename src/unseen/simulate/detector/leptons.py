"""Electrons and muons: efficiency, resolution and the photons that electrons radiate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from unseen.simulate.detector.kinds import ELECTRON, MUON, PHOTON
from unseen.simulate.detector.pairs import close_pairs
from unseen.simulate.detector.particles import Particles
from unseen.simulate.detector.settings import DetectorSettings, ElectronSettings, MuonSettings
from unseen.simulate.detector.smearing import calorimeter_sigma, fluctuation, plateau, track_sigma

__all__ = ["efficiency", "measure_leptons", "recover_photons"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def efficiency(settings: ElectronSettings | MuonSettings, pt: Array, eta: Array) -> Array:
    """Probability to reconstruct a lepton of true pt (GeV) and eta, (n,)."""
    turn_on: Array = ndtr((pt - settings.turn_on) / settings.turn_on_width)
    return plateau(settings.efficiency, eta) * turn_on


def recover_photons(particles: Particles, electrons: Index, radius: float) -> tuple[Particles, NDArray[np.bool_]]:
    """Add photons within `radius` to the nearest of the `electrons` (rows); also return which particles remain."""
    photons = np.flatnonzero(particles.kind == PHOTON)
    i, j, distance2 = close_pairs(particles.take(electrons), particles.take(photons), radius)
    order = np.lexsort((distance2, j))
    i, j = i[order], j[order]
    first = np.ones(len(j), dtype=np.bool_)
    first[1:] = j[1:] != j[:-1]
    target, source = electrons[i[first]], photons[j[first]]
    columns = {name: getattr(particles, name).copy() for name in ("px", "py", "pz", "e")}
    for values in columns.values():
        np.add.at(values, target, values[source])
    px, py, pz, e = columns.values()
    pt, eta, phi = particles.pt.copy(), particles.eta.copy(), particles.phi.copy()
    pt[target] = np.hypot(px[target], py[target])
    eta[target], phi[target] = np.arcsinh(pz[target] / pt[target]), np.arctan2(py[target], px[target])
    remain = np.ones(len(particles), dtype=np.bool_)
    remain[source] = False
    return Particles(particles.n_events, particles.event, particles.kind, px, py, pz, e, pt, eta, phi), remain


def measure_leptons(
    particles: Particles, u: Array, z: Array, settings: DetectorSettings
) -> tuple[Particles, NDArray[np.bool_], Array, NDArray[np.bool_]]:
    """Identify leptons: particles with radiated photons collected, identified leptons, factors, what remains.

    `u` uniform in [0, 1) and `z` standard normal, one per particle. The factor is 1 for everything but leptons.
    """
    found: dict[int, Index] = {}
    for kind, lepton in ((ELECTRON, settings.electrons), (MUON, settings.muons)):
        rows = np.flatnonzero(particles.kind == kind)
        found[kind] = rows[u[rows] < efficiency(lepton, particles.pt[rows], particles.eta[rows])]
    dressed, remain = recover_photons(particles, found[ELECTRON], settings.electrons.recovery_radius)
    sigma = np.zeros(len(particles))
    rows = found[ELECTRON]
    sigma[rows] = calorimeter_sigma(settings.electrons.resolution, dressed.e[rows], dressed.eta[rows])
    rows = found[MUON]
    sigma[rows] = track_sigma(settings.muons.resolution, dressed.pt[rows], dressed.eta[rows])
    identified = np.zeros(len(particles), dtype=np.bool_)
    identified[np.concatenate([found[ELECTRON], found[MUON]])] = True
    factor = np.where(identified, fluctuation(sigma, z), 1.0)
    factor[found[ELECTRON]] *= settings.electrons.response
    return dressed, identified, factor, remain
