"""Jets: clustering, calibration, resolution, and overlap with leptons."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import MissingExtraError
from unseen.simulate.detector.pairs import close_pairs
from unseen.simulate.detector.particles import Particles, import_awkward, region_index
from unseen.simulate.detector.settings import JetSettings
from unseen.simulate.detector.smearing import fluctuation

__all__ = ["Jets", "cluster", "measure_jets", "overlaps"]

Array = NDArray[np.float64]
# A jet can be measured at most this many times larger than what was clustered and still enter the acceptance.
CLUSTER_MARGIN = 3.0


@dataclass(frozen=True)
class Jets:
    """Clustered jets and the factor from the clustered to the measured momentum, (m,)."""

    clustered: Particles
    factor: Array

    @property
    def measured(self) -> Particles:
        """The jets after calibration and smearing."""
        return self.clustered.scaled(self.factor)


def _import_fastjet() -> Any:
    try:
        import fastjet
    except ImportError as error:
        raise MissingExtraError("jets need fastjet: pip install 'unseen[hep]'") from error
    with contextlib.suppress(AttributeError):  # the banner is a nuisance, not an error; the door to it is private
        fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    return fastjet


def cluster(candidates: Particles, radius: float, pt_min: float) -> Particles:
    """Anti-kt jets (arXiv:0802.1189, arXiv:1111.6097) of all candidates, with clustered pt above `pt_min` GeV."""
    ak, fastjet = import_awkward(), _import_fastjet()
    columns = {"px": candidates.px, "py": candidates.py, "pz": candidates.pz, "E": candidates.e}
    inputs = ak.unflatten(ak.zip(columns, with_name="Momentum4D"), candidates.counts)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    jets = fastjet.ClusterSequence(inputs, definition).inclusive_jets(min_pt=pt_min)
    counts = ak.to_numpy(ak.num(jets, axis=1))
    px, py, pz, e = (ak.to_numpy(ak.flatten(jets[name])) for name in columns)
    pt = np.hypot(px, py)
    event = np.repeat(np.arange(candidates.n_events), counts)
    kind = np.zeros(len(event), dtype=np.int8)
    return Particles(candidates.n_events, event, kind, px, py, pz, e, pt, np.arcsinh(pz / pt), np.arctan2(py, px))


def measure_jets(candidates: Particles, rng: np.random.Generator, settings: JetSettings, pt_min: float) -> Jets:
    """Cluster, calibrate and smear; jets that could exceed `pt_min` GeV are kept."""
    jets = cluster(candidates, settings.radius, pt_min / CLUSTER_MARGIN)
    regions = settings.response
    table = np.array([(r.scale, r.offset, r.noise**2, r.stochastic**2, r.constant**2) for r in regions])
    scale, offset, n2, s2, c2 = table[region_index(np.abs(jets.eta), [r.abs_eta_max for r in regions])].T
    calibrated = np.maximum(scale * jets.pt + offset, 0.0)
    sigma = np.sqrt(n2 / jets.pt**2 + s2 / jets.pt + c2)
    return Jets(jets, calibrated / jets.pt * fluctuation(sigma, rng.standard_normal(len(jets))))


def overlaps(jets: Particles, leptons: Particles, radius: float) -> NDArray[np.bool_]:
    """Which jets lie within `radius` of one of the leptons, (m,)."""
    _, j, _ = close_pairs(leptons, jets, radius)
    result = np.zeros(len(jets), dtype=np.bool_)
    result[j] = True
    return result
