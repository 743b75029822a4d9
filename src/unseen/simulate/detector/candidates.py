"""Everything the detector sees, with the energy it measures: the input of isolation, jets and missing momentum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.hadrons import measure_hadrons
from unseen.simulate.detector.leptons import measure_leptons
from unseen.simulate.detector.particles import Particles, flatten
from unseen.simulate.detector.settings import DetectorSettings

__all__ = ["measure_particles"]


def measure_particles(
    particles: Any, rng: np.random.Generator, settings: DetectorSettings
) -> tuple[Particles, NDArray[np.bool_]]:
    """Everything the detector sees, as measured, and which of it is an identified lepton."""
    calorimeter = settings.calorimeter
    softest = min(settings.tracking.pt_min, calorimeter.photon_pt_min, calorimeter.hadron_pt_min) / 2
    edge = max(calorimeter.photons[-1].abs_eta_max, calorimeter.hadrons[-1].abs_eta_max)
    visible = flatten(particles, settings.invisible_ids, softest, edge)
    leptons = measure_leptons(visible, rng, settings)
    seen, factor = measure_hadrons(visible, rng.random(len(visible)), rng.standard_normal(len(visible)), settings)
    seen[leptons.rows], seen[leptons.photons] = True, False
    candidates = visible.take(seen).scaled(factor[seen])
    rows = (np.cumsum(seen) - 1)[leptons.rows]
    candidates.overwrite(rows, leptons.measured)
    identified = np.zeros(len(candidates), dtype=np.bool_)
    identified[rows] = True
    return candidates, identified
