"""From the particles of a generator to what an experiment writes: leptons, jets and missing momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.simulate.detector.candidates import measure_particles
from unseen.simulate.detector.isolation import isolated_leptons
from unseen.simulate.detector.jets import measure_jets, overlaps
from unseen.simulate.detector.kinds import ELECTRON, MUON
from unseen.simulate.detector.met import missing_momentum
from unseen.simulate.detector.particles import Particles, import_awkward
from unseen.simulate.detector.settings import DetectorSettings

__all__ = ["CMS_LIKE", "COLLECTIONS", "FEATURES", "reconstruct"]

CMS_LIKE = DetectorSettings()
# What comes out.
COLLECTIONS = ("met", "electrons", "muons", "jets")
FEATURES = ("pt", "eta", "phi")


def reconstruct(particles: Any, rng: np.random.Generator, settings: DetectorSettings = CMS_LIKE) -> dict[str, Any]:
    """Detector response to final-state particles, without any loop over events or particles.

    particles  awkward array (n events, var particles) with fields id (PDG code), px, py, pz, e in GeV; neutrinos and
               `settings.invisible_ids` may be included and leave no trace
    returns    `met` (columns pt, eta, phi of shape (n,)), `electrons`, `muons`, `jets` (awkward arrays of records pt,
               eta, phi, in descending pt), for `Events.from_awkward`

    Equal generator states give equal events. Random numbers are drawn for the batch as a whole, so the same events
    split into other batches fluctuate differently.
    Errors: SchemaError (a field is missing), NonFiniteError, MissingExtraError.
    """
    candidates, leptons = measure_particles(particles, rng, settings)
    isolated = {
        ELECTRON: isolated_leptons(candidates, leptons & (candidates.kind == ELECTRON), settings.electrons),
        MUON: isolated_leptons(candidates, leptons & (candidates.kind == MUON), settings.muons),
    }
    rows = np.concatenate(list(isolated.values()))
    chosen = candidates.take(np.sort(rows))
    rest = np.ones(len(candidates), dtype=np.bool_)
    rest[rows] = False
    lowest = min(settings.jets.pt_min, settings.met.jet_pt_min)
    jets = measure_jets(candidates.take(rest), rng, settings.jets, lowest)
    measured = jets.measured
    stored = (measured.pt > settings.jets.pt_min) & (np.abs(measured.eta) < settings.jets.abs_eta_max)
    stored &= ~overlaps(measured, chosen, settings.jets.overlap_radius)
    return {
        "met": missing_momentum(candidates, jets, rng, settings.met),
        "electrons": _ragged(candidates.take(isolated[ELECTRON])),
        "muons": _ragged(candidates.take(isolated[MUON])),
        "jets": _ragged(measured.take(stored)),
    }


def _ragged(objects: Particles) -> Any:
    """Awkward records (n events, var objects) of pt, eta, phi in descending pt."""
    ak = import_awkward()
    order = np.lexsort((-objects.pt, objects.event))
    columns = {"pt": objects.pt[order], "eta": objects.eta[order], "phi": objects.phi[order]}
    return ak.unflatten(ak.zip(columns), objects.counts)
