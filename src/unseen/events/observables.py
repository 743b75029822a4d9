"""Physics observables of events: the quantities an analyst plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.events.events import Events

__all__ = [
    "OBSERVABLES",
    "Observable",
    "dilepton_mass",
    "ht",
    "jet_multiplicity",
    "leading_lepton_pt",
    "met",
    "transverse_mass",
]

Array = NDArray[np.float64]
LEPTONS = ("electrons", "muons")
# Masses in GeV, PDG 2024.
MASSES = {"electrons": 0.000511, "muons": 0.10566}


def leading_lepton_pt(events: Events) -> Array:
    """pt of the hardest electron or muon in GeV, 0 if there is none."""
    values = [events.get(name, "pt") for name in LEPTONS if events.schema.has(name)]
    result: Array = np.concatenate(values, axis=1).max(axis=1).astype(np.float64)
    return result


def lepton_multiplicity(events: Events) -> Array:
    """Number of electrons and muons."""
    present = [events.has(name) for name in LEPTONS if events.schema.has(name)]
    result: Array = np.concatenate(present, axis=1).sum(axis=1).astype(np.float64)
    return result


def met(events: Events) -> Array:
    """Missing transverse momentum in GeV."""
    return events.get("met", "pt")[:, 0].astype(np.float64)


def ht(events: Events) -> Array:
    """Scalar sum of jet pt in GeV."""
    result: Array = events.get("jets", "pt").sum(axis=1, dtype=np.float64)
    return result


def jet_multiplicity(events: Events) -> Array:
    """Number of jets."""
    result: Array = events.has("jets").sum(axis=1).astype(np.float64)
    return result


def dilepton_mass(events: Events) -> Array:
    """Mass in GeV of the two hardest leptons of one flavour (the flavour with the harder pair); NaN without a pair."""
    best = np.full(len(events), np.nan)
    best_pt = np.full(len(events), -np.inf)
    for name in LEPTONS:
        if not events.schema.has(name):
            continue
        pair = events.has(name)[:, :2].all(axis=1)
        pt, eta, phi = (events.get(name, feature)[:, :2].astype(np.float64) for feature in ("pt", "eta", "phi"))
        m2 = 2 * pt[:, 0] * pt[:, 1] * (np.cosh(eta[:, 0] - eta[:, 1]) - np.cos(phi[:, 0] - phi[:, 1]))
        mass = np.sqrt(m2 + 2 * MASSES[name] ** 2)
        harder = pair & (pt.sum(axis=1) > best_pt)
        best, best_pt = np.where(harder, mass, best), np.where(harder, pt.sum(axis=1), best_pt)
    return best


def transverse_mass(events: Events) -> Array:
    """Transverse mass in GeV of the hardest lepton and MET, sqrt(2 pt MET (1 - cos dphi))."""
    pts = np.concatenate([events.get(name, "pt") for name in LEPTONS], axis=1).astype(np.float64)
    phis = np.concatenate([events.get(name, "phi") for name in LEPTONS], axis=1).astype(np.float64)
    lead = pts.argmax(axis=1)[:, None]
    pt, phi = np.take_along_axis(pts, lead, 1)[:, 0], np.take_along_axis(phis, lead, 1)[:, 0]
    result: Array = np.sqrt(2 * pt * met(events) * (1 - np.cos(phi - events.get("met", "phi")[:, 0])))
    return result


@dataclass(frozen=True)
class Observable:
    """A quantity to plot: axis label with units, bin edges, and the function Events -> (n,); NaN = not defined."""

    label: str
    edges: Array
    values: Callable[[Events], Array]
    needs: tuple[str, ...]


OBSERVABLES: dict[str, Observable] = {
    "leading_lepton_pt": Observable(
        "Leading lepton $p_T$ [GeV]", np.linspace(20, 120, 26), leading_lepton_pt, ("electrons", "muons")
    ),
    "met": Observable("Missing $p_T$ [GeV]", np.linspace(0, 120, 25), met, ("met",)),
    "ht": Observable("$H_T$ [GeV]", np.linspace(0, 400, 21), ht, ("jets",)),
    "jet_multiplicity": Observable("Number of jets", np.arange(-0.5, 9), jet_multiplicity, ("jets",)),
    "lepton_multiplicity": Observable(
        "Number of leptons", np.arange(-0.5, 6), lepton_multiplicity, ("electrons", "muons")
    ),
    "dilepton_mass": Observable("Dilepton mass [GeV]", np.linspace(0, 150, 31), dilepton_mass, ("electrons", "muons")),
    "transverse_mass": Observable(
        "Transverse mass [GeV]", np.linspace(0, 150, 31), transverse_mass, ("electrons", "muons", "met")
    ),
}
