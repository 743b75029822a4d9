from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from tests.simulate.detector.build import efficient, events, repeat
from unseen.simulate.detector import reconstruct
from unseen.simulate.detector.hadrons import measure_hadrons
from unseen.simulate.detector.jets import cluster
from unseen.simulate.detector.kinds import CHARGED, ELECTRON, INVISIBLE, MUON, NEUTRAL, PHOTON, kinds_of
from unseen.simulate.detector.pairs import close_pairs, delta_phi
from unseen.simulate.detector.particles import flatten
from unseen.simulate.detector.settings import DetectorSettings
from unseen.simulate.detector.smearing import calorimeter_sigma


def spray(pt: float, eta: float, phi: float, n: int = 12, seed: int = 0) -> list[tuple[int, float, float, float]]:
    """A jet by hand: n particles around an axis, two thirds charged, with scalar sum `pt`."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(n, 2.0)) * pt
    axis = rng.normal((eta, phi), 0.05, size=(n, 2))
    return [((211, -211, 22)[k % 3], float(share[k]), float(axis[k, 0]), float(axis[k, 1])) for k in range(n)]


def test_two_partons_give_two_balanced_jets() -> None:
    n = 1500
    pair = [*spray(100.0, 0.5, 1.0), *spray(100.0, -0.8, 1.0 - np.pi, seed=1)]
    out = reconstruct(repeat(n, *pair), np.random.default_rng(0), efficient())
    jets = out["jets"]
    assert ak.mean(ak.num(jets) == 2) > 0.99
    two = jets[ak.num(jets) == 2]
    balance = ak.to_numpy((two.pt[:, 0] - two.pt[:, 1]) / (two.pt[:, 0] + two.pt[:, 1]))
    assert np.sqrt(np.mean(balance**2)) * np.sqrt(2) == pytest.approx(0.085, abs=0.02)
    opening = delta_phi(ak.to_numpy(two.phi[:, 0]), ak.to_numpy(two.phi[:, 1]))
    assert opening.min() > 3.0
    assert ak.mean(two.pt) == pytest.approx(100.0, rel=0.03)
    assert out["met"]["pt"].mean() < 20


def test_missing_momentum_follows_the_jets() -> None:
    out = reconstruct(repeat(500, *spray(80.0, 0.0, 0.0)), np.random.default_rng(0), efficient())
    jet = out["jets"][ak.num(out["jets"]) == 1]
    met = out["met"]["pt"][ak.to_numpy(ak.num(out["jets"]) == 1)]
    assert np.abs(ak.to_numpy(jet.pt[:, 0]) - met).max() < 1e-6


@pytest.mark.parametrize(("eta", "stored"), [(3.9, True), (-3.9, True), (4.1, False), (4.9, False), (5.1, False)])
def test_jet_acceptance(eta: float, stored: bool) -> None:
    out = reconstruct(repeat(50, (130, 120.0, eta, 0.0)), np.random.default_rng(0), efficient())
    assert ak.all((ak.num(out["jets"]) == 1) == stored)


def test_energy_outside_the_calorimeters_is_missing() -> None:
    out = reconstruct(repeat(50, (130, 120.0, 5.1, 0.0)), np.random.default_rng(0), efficient())
    assert (out["met"]["pt"] == 0).all()


def test_jets_that_overlap_with_a_lepton_are_dropped() -> None:
    near, far = (
        reconstruct(
            repeat(300, (13, 200.0, 0.0, 0.0), (211, 40.0, 0.0, distance)), np.random.default_rng(0), efficient()
        )
        for distance in (0.3, 0.6)
    )
    assert ak.all(ak.num(near["muons"]) == 1)
    assert ak.all(ak.num(near["jets"]) == 0)
    assert ak.all(ak.num(far["jets"]) == 1)


def test_clustering_adds_momenta_within_the_radius() -> None:
    particles = events([(211, 50.0, 0.0, 0.0), (22, 10.0, 0.0, 0.3), (22, 9.0, 0.0, 0.9)], [], [(22, 30.0, 1.0, 1.0)])
    jets = cluster(flatten(particles, (12,), 0.1, 5.0), 0.4, 5.0)
    assert jets.event.tolist() == [0, 0, 2]
    pair = np.hypot(50 + 10 * np.cos(0.3), 10 * np.sin(0.3))
    assert sorted(jets.pt[:2]) == pytest.approx([9.0, pair])


def test_hadron_resolutions() -> None:
    n = 20_000
    settings = DetectorSettings()
    rng = np.random.default_rng(0)
    for code, eta in ((130, 0.5), (22, 0.5), (22, 4.0), (211, 3.5)):
        particles = flatten(repeat(n, (code, 20.0, eta, 0.0)), (12,), 0.1, 5.0)
        seen, factor = measure_hadrons(particles, rng.random(n), rng.standard_normal(n), settings)
        regions = settings.calorimeter.photons if code == 22 else settings.calorimeter.hadrons
        sigma = calorimeter_sigma(regions, particles.e[:1], particles.eta[:1])[0]
        assert seen.all()
        assert factor.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * n))
        assert factor.mean() == pytest.approx(1.0, abs=4 * sigma / np.sqrt(n))


def test_soft_particles_are_lost() -> None:
    particles = flatten(repeat(100, (211, 0.4, 3.0, 0.0), (22, 0.3, 0.0, 0.0), (130, 0.3, 0.0, 1.0)), (12,), 0.1, 5.0)
    settings = DetectorSettings()
    seen, _ = measure_hadrons(particles, np.zeros(300), np.zeros(300), settings)
    assert not seen.any()


def test_kinds() -> None:
    expected = {
        **dict.fromkeys((211, -321, 2212, -3112, 3312, 411, 521, 1000010020, 3222, 3334, 15), CHARGED),
        **dict.fromkeys((130, 310, 2112, -3122, 3322, 421, 511, 111, 333, 5122), NEUTRAL),
        **{22: PHOTON, -11: ELECTRON, 13: MUON, -12: INVISIBLE, 1000022: INVISIBLE},
    }
    kinds = kinds_of(np.array(list(expected)), DetectorSettings().invisible_ids)
    assert dict(zip(expected, kinds.tolist(), strict=True)) == expected


def test_close_pairs_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(4)
    content = [
        [(22, 5.0, float(rng.normal()), float(rng.uniform(-np.pi, np.pi))) for _ in range(rng.integers(0, 9))]
        for _ in range(30)
    ]
    others = flatten(events(*content), (12,), 0.1, 5.0)
    leptons = others.take(np.arange(0, len(others), 3))
    i, j, _ = close_pairs(leptons, others, 0.8)
    expected = {
        (a, b)
        for a in range(len(leptons))
        for b in range(len(others))
        if leptons.event[a] == others.event[b]
        and np.hypot(leptons.eta[a] - others.eta[b], np.arctan2(np.sin(d := leptons.phi[a] - others.phi[b]), np.cos(d)))
        < 0.8
    }
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected
