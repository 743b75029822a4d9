"""From the particles of a generator to what an experiment writes: leptons, jets and missing momentum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.hadrons import measure_hadrons
from unseen.simulate.detector.isolation import relative_isolation
from unseen.simulate.detector.jets import measure_jets, overlaps
from unseen.simulate.detector.kinds import ELECTRON, MUON
from unseen.simulate.detector.leptons import measure_leptons
from unseen.simulate.detector.met import missing_momentum
from unseen.simulate.detector.particles import Particles, flatten, import_awkward
from unseen.simulate.detector.settings import DetectorSettings

__all__ = ["CMS_LIKE", "reconstruct"]

CMS_LIKE = DetectorSettings()


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
    candidates, leptons = _candidates(particles, rng, settings)
    isolated = {kind: _isolated(candidates, leptons, kind, settings) for kind in (ELECTRON, MUON)}
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


def _candidates(
    particles: Any, rng: np.random.Generator, settings: DetectorSettings
) -> tuple[Particles, NDArray[np.bool_]]:
    """Everything the detector sees, as measured, and which of it is an identified lepton."""
    calorimeter = settings.calorimeter
    softest = min(settings.tracking.pt_min, calorimeter.photon_pt_min, calorimeter.hadron_pt_min) / 2
    edge = max(calorimeter.photons[-1].abs_eta_max, calorimeter.hadrons[-1].abs_eta_max)
    visible = flatten(particles, settings.invisible_ids, softest, edge)
    u, z = rng.random((2, len(visible))), rng.standard_normal(len(visible))
    dressed, identified, lepton_factor, remain = measure_leptons(visible, u[0], z, settings)
    seen, hadron_factor = measure_hadrons(visible, u[1], z, settings)
    keep = remain & (identified | seen)
    measured = dressed.scaled(np.where(identified, lepton_factor, hadron_factor))
    return measured.take(keep), identified[keep]


def _isolated(
    candidates: Particles, leptons: NDArray[np.bool_], kind: int, settings: DetectorSettings
) -> NDArray[np.int64]:
    """Rows of the isolated leptons of one kind within acceptance."""
    lepton = settings.electrons if kind == ELECTRON else settings.muons
    accepted = (candidates.pt > lepton.pt_min) & (np.abs(candidates.eta) < lepton.abs_eta_max)
    rows = np.flatnonzero(leptons & (candidates.kind == kind) & accepted)
    return rows[relative_isolation(candidates, rows, lepton.isolation_radius) < lepton.isolation_max]


def _ragged(objects: Particles) -> Any:
    """Awkward records (n events, var objects) of pt, eta, phi in descending pt."""
    ak = import_awkward()
    order = np.lexsort((-objects.pt, objects.event))
    columns = {"pt": objects.pt[order], "eta": objects.eta[order], "phi": objects.phi[order]}
    return ak.unflatten(ak.zip(columns), objects.counts)
