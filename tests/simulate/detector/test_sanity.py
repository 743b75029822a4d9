"""Collisions against the sanity values of the simulation's specification, within 2-3 sigma of the samples."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simulate.detector.build import collisions
from unseen.events import ADC2021, Events, select
from unseen.events.observables import dilepton_mass, jet_multiplicity, lepton_multiplicity, met
from unseen.simulate.detector import reconstruct

pytestmark = pytest.mark.slow


def selected(process: str, n: int, *settings: str) -> tuple[Events, float]:
    """Events after the selection, and the fraction that passes it."""
    out = reconstruct(collisions(process, n, *settings), np.random.default_rng(0))
    kept = select(Events.from_awkward(ADC2021, out))
    return kept, len(kept) / n


def test_w() -> None:
    kept, fraction = selected("w", 4000)
    assert fraction == pytest.approx(0.42, abs=0.02)
    assert np.median(met(kept)) == pytest.approx(35.5, abs=1.2)
    assert met(kept).std() == pytest.approx(15.0, abs=1.5)
    assert np.mean(jet_multiplicity(kept) == 0) == pytest.approx(0.83, abs=0.03)
    assert jet_multiplicity(kept).mean() == pytest.approx(0.20, abs=0.04)


@pytest.mark.parametrize(
    ("name", "median", "half_width"), [("electrons", 90.3, 4.1), ("muons", 90.5, 3.1)], ids=["ee", "mumu"]
)
def test_z_peak(name: str, median: float, half_width: float) -> None:
    kept, _ = selected("z", 20_000, "PartonLevel:MPI=off")  # fast, and the peak does not depend on it
    mass = dilepton_mass(kept[kept.has(name).sum(axis=1) == 2])
    low, middle, high = np.percentile(mass[(mass > 70) & (mass < 110)], [16, 50, 84])
    assert middle == pytest.approx(median, abs=0.4)
    assert (high - low) / 2 == pytest.approx(half_width, abs=0.4)


def test_tt() -> None:
    kept, _ = selected("tt", 2000)
    assert np.mean(jet_multiplicity(kept) >= 3) == pytest.approx(0.78, abs=0.05)
    assert np.median(met(kept)) == pytest.approx(55, abs=6)


def test_a_to_four_leptons() -> None:
    kept, _ = selected("a4l", 3000)
    assert np.mean(lepton_multiplicity(kept) == 4) == pytest.approx(0.125, abs=0.035)
