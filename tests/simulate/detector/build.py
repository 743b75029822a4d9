"""Events made by hand, and numbers of collision events from Pythia."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from unseen.simulate.detector import DetectorSettings
from unseen.simulate.detector.settings import (
    EfficiencyRegion,
    ElectronSettings,
    MaterialRegion,
    MetSettings,
    MuonSettings,
)

PARTICLES = ("id", "px", "py", "pz", "e")
PROCESSES = {
    "w": ("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=11 13"),
    "z": ("WeakSingleBoson:ffbar2gmZ=on", "23:onMode=off", "23:onIfAny=11 13", "PhaseSpace:mHatMin=20"),
    "tt": ("Top:gg2ttbar=on", "Top:qqbar2ttbar=on"),
    "a4l": (
        *("Higgs:useBSM=on", "HiggsBSM:gg2A3=on", "36:m0=50", "36:onMode=off", "36:onIfMatch=23 23"),
        *("HiggsA3:coup2Z=1", "23:onMode=off", "23:onIfAny=11 13", "23:mMin=1"),
        *("36:doForceWidth=on", "36:mWidth=0.01", "36:mMin=45", "36:mMax=55"),
    ),
}


def events(*content: Sequence[tuple[int, float, float, float]]) -> ak.Array:
    """Massless particles (PDG code, pt, eta, phi), one sequence per event."""
    rows = [
        [(i, pt * np.cos(f), pt * np.sin(f), pt * np.sinh(y), pt * np.cosh(y)) for i, pt, y, f in e] for e in content
    ]
    counts = [len(row) for row in rows]
    flat = np.array([particle for row in rows for particle in row], dtype=np.float64).reshape(-1, 5)
    columns = {name: flat[:, k].astype(np.int64) if name == "id" else flat[:, k] for k, name in enumerate(PARTICLES)}
    return ak.unflatten(ak.zip(columns), np.array(counts, dtype=np.int64))


def repeat(n: int, *content: tuple[int, float, float, float]) -> ak.Array:
    """The same event n times."""
    return events(content)[np.zeros(n, dtype=np.int64)]


def efficient(**changes: Any) -> DetectorSettings:
    """Settings that find every lepton far above threshold, without lost radiation and noise in missing momentum."""
    electrons = {
        "efficiency": (EfficiencyRegion(abs_eta_max=3.0, plateau=1.0),),
        "material": (MaterialRegion(abs_eta_max=3.0, thickness=0.0),),
    }
    return DetectorSettings(
        **{
            "electrons": ElectronSettings(**electrons),
            "muons": MuonSettings(efficiency=(EfficiencyRegion(abs_eta_max=2.4, plateau=1.0),)),
            "met": MetSettings(noise=0.0, stochastic=0.0),
            **changes,
        }
    )


@functools.cache
def collisions(process: str, n: int, *more: str, seed: int = 1) -> ak.Array:
    """Final-state particles of n Pythia events; `more` are further settings."""
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    for line in (
        "Beams:eCM=13000",
        "Random:setSeed=on",
        f"Random:seed={seed}",
        "Print:quiet=on",
        *PROCESSES[process],
        *more,
    ):
        assert pythia.readString(line)
    assert pythia.init()
    parts = []
    for _ in range(0, n, 500):
        record = pythia.nextBatch(500).prt
        final = record[record.status > 0]
        p = final.p
        parts.append(ak.zip({"id": final.id, "px": p.px, "py": p.py, "pz": p.pz, "e": p.e}))
    return ak.concatenate(parts)
