"""A few simulation truths per event, for label encodings and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.particles import Particles
from unseen.simulate.pythia import RawBatch

__all__ = ["final_state", "hard_process"]

Record = dict[str, NDArray[Any]]
NEUTRINOS = (12, 14, 16)
LEPTON_PT_MIN = 10.0


def hard_process(batch: RawBatch) -> Record:
    """Of the event record: pt_hat and m_hat in GeV, and the number of tau leptons that decayed."""
    everything = batch.all()
    tau = np.flatnonzero(np.abs(everything.id) == 15)
    first_daughter = batch.column("daughter1")[tau] + everything.offsets[everything.event[tau]]
    decayed = (batch.column("daughter1")[tau] > 0) & (np.abs(everything.id[first_daughter]) != 15)
    return {
        "pt_hat": np.sqrt(np.maximum(batch.info("pT2Hat"), 0.0)).astype(np.float32),
        "m_hat": batch.info("mHat").astype(np.float32),
        "n_taus": np.bincount(everything.event[tau[decayed]], minlength=len(everything)).astype(np.int16),
    }


def final_state(events: Particles) -> Record:
    """PDG code and pt of the hardest electron or muon, how many above 10 GeV, and the pt of all neutrinos."""
    n, event = len(events), events.event
    pt = np.hypot(events.p[:, 0], events.p[:, 1])
    rows = np.flatnonzero(np.isin(np.abs(events.id), (11, 13)))
    rows = rows[np.argsort(pt[rows], kind="stable")]
    code, hardest = np.zeros(n, np.int16), np.zeros(n, np.float32)
    code[event[rows]], hardest[event[rows]] = events.id[rows], pt[rows]  # the last, hardest, assignment stays
    unseen = np.isin(np.abs(events.id), NEUTRINOS)
    px, py = (np.bincount(event[unseen], weights=events.p[unseen, axis], minlength=n) for axis in (0, 1))
    return {
        "true_lepton": code,
        "true_lepton_pt": hardest,
        "n_true_leptons": np.bincount(event[rows[pt[rows] > LEPTON_PT_MIN]], minlength=n).astype(np.int16),
        "true_met": np.hypot(px, py).astype(np.float32),
    }
