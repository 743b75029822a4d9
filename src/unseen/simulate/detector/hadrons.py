"""Hadrons, photons and unidentified leptons: tracks and calorimeter clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.kinds import CHARGED, ELECTRON, MUON, NEUTRAL, PHOTON
from unseen.simulate.detector.particles import Particles
from unseen.simulate.detector.settings import DetectorSettings
from unseen.simulate.detector.smearing import calorimeter_sigma, fluctuation

__all__ = ["measure_hadrons"]

Array = NDArray[np.float64]


def measure_hadrons(
    particles: Particles, u: Array, z: Array, settings: DetectorSettings
) -> tuple[NDArray[np.bool_], Array]:
    """Which particles are seen, and the factor by which each one's energy is mismeasured.

    `u` uniform in [0, 1) and `z` standard normal, one per particle. Charged particles with a track have its momentum;
    those without, and neutral hadrons, that of the hadronic calorimeter. Muons without a track are lost.
    """
    tracking, calorimeter = settings.tracking, settings.calorimeter
    kind, pt, e, eta = particles.kind, particles.pt, particles.e, particles.eta
    charged = (kind == CHARGED) | (kind == MUON)
    tracked = charged & (np.abs(eta) < tracking.abs_eta_max) & (u < tracking.efficiency) & (pt > tracking.pt_min)
    electromagnetic = (kind == PHOTON) | (kind == ELECTRON)
    hadronic = ((kind == CHARGED) & ~tracked) | (kind == NEUTRAL)
    sigma = np.zeros(len(particles))
    sigma[tracked] = np.hypot(tracking.constant, tracking.slope * pt[tracked])
    sigma[electromagnetic] = calorimeter_sigma(calorimeter.photons, e[electromagnetic], eta[electromagnetic])
    sigma[hadronic] = calorimeter_sigma(calorimeter.hadrons, e[hadronic], eta[hadronic])
    factor = fluctuation(sigma, z)
    measured = pt * factor
    seen = (
        tracked
        | (electromagnetic & (measured > calorimeter.photon_pt_min))
        | (hadronic & (measured > calorimeter.hadron_pt_min))
    )
    return seen, factor
