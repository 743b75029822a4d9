from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.simulate.detector.build import efficient, events, repeat
from unseen.simulate.detector import DetectorSettings, reconstruct
from unseen.simulate.detector.leptons import efficiency
from unseen.simulate.detector.settings import MaterialRegion
from unseen.simulate.detector.smearing import bremsstrahlung, calorimeter_sigma, fluctuation, track_sigma

NAMES = {"electrons": 11, "muons": 13}


def run(particles: ak.Array, settings: DetectorSettings | None = None, seed: int = 0) -> dict[str, Any]:
    return reconstruct(particles, np.random.default_rng(seed), settings or efficient())


@pytest.mark.parametrize(("name", "code"), NAMES.items())
@pytest.mark.parametrize("pt", [12.0, 45.0, 300.0])
@pytest.mark.parametrize("eta", [-0.4, 2.2])
def test_resolution_is_the_parametrised_one(name: str, code: int, pt: float, eta: float) -> None:
    n = 4000
    settings = efficient()
    leptons = ak.flatten(run(repeat(n, (code, pt, eta, 0.7)), settings)[name])
    assert len(leptons) > 0.93 * n
    measured = ak.to_numpy(leptons.pt) / pt
    if name == "electrons":
        sigma = calorimeter_sigma(settings.electrons.resolution, np.array([pt * np.cosh(eta)]), np.array([eta]))[0]
    else:
        sigma = track_sigma(settings.muons.resolution, np.array([pt]), np.array([eta]))[0]
    assert measured.mean() == pytest.approx(1.0, abs=4 * sigma / np.sqrt(len(measured)))
    assert measured.std() == pytest.approx(sigma, rel=6 / np.sqrt(2 * len(measured)))
    assert np.ptp(ak.to_numpy(leptons.eta)) < 1e-9
    assert ak.all(abs(leptons.phi - 0.7) < 1e-9)


@pytest.mark.parametrize(("name", "code"), NAMES.items())
@pytest.mark.parametrize("pt", [4.0, 8.0, 40.0])
@pytest.mark.parametrize("eta", [0.2, 1.9])
def test_efficiency_is_the_parametrised_one(name: str, code: int, pt: float, eta: float) -> None:
    n = 6000
    settings = DetectorSettings()
    lepton = getattr(settings, name).model_copy(update={"pt_min": 0.5})
    settings = settings.model_copy(update={name: lepton})
    found = ak.mean(ak.num(run(repeat(n, (-code, pt, eta, 0.7)), settings)[name]) == 1)
    expected = efficiency(lepton, np.array([pt]), np.array([eta]))[0]
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n) + 1e-9)


@pytest.mark.parametrize(("name", "code", "edge"), [("electrons", 11, 3.0), ("muons", 13, 2.4)])
def test_acceptance_edges(name: str, code: int, edge: float) -> None:
    inside, outside = (
        run(repeat(200, (code, 40.0, sign * (edge + d), 0.0)))[name] for sign, d in ((1, -0.01), (-1, 0.01))
    )
    assert ak.all(ak.num(inside) == 1)
    assert ak.all(ak.num(outside) == 0)


@pytest.mark.parametrize(("name", "code"), NAMES.items())
def test_isolated_lepton_is_no_jet(name: str, code: int) -> None:
    out = run(repeat(100, (code, 60.0, 1.0, 2.0)))
    assert ak.all(ak.num(out[name]) == 1)
    assert ak.all(ak.num(out["jets"]) == 0)


@pytest.mark.parametrize(("name", "code"), NAMES.items())
def test_lepton_in_a_jet_is_part_of_the_jet(name: str, code: int) -> None:
    out = run(repeat(300, (code, 30.0, 0.5, 0.0), (211, 20.0, 0.6, 0.1), (22, 15.0, 0.4, -0.1)))
    assert ak.all(ak.num(out[name]) == 0)
    assert ak.mean(ak.num(out["jets"]) == 1) > 0.99
    assert ak.mean(ak.flatten(out["jets"].pt)) == pytest.approx(66, rel=0.05)


@pytest.mark.parametrize(("near", "isolated"), [(10.0, True), (17.0, False)])
def test_isolation_threshold(near: float, isolated: bool) -> None:
    out = run(repeat(300, (13, 30.0, 0.5, 0.0), (211, near, 0.5, 0.3)))
    assert ak.mean(ak.num(out["muons"]) == 1) == pytest.approx(float(isolated), abs=0.02)


def test_isolation_cone_ends_at_its_radius_and_wraps_around() -> None:
    inside = run(repeat(50, (13, 30.0, 0.0, np.pi - 0.1), (211, 50.0, 0.0, -np.pi + 0.25)))
    outside = run(repeat(50, (13, 30.0, 0.0, np.pi - 0.1), (211, 50.0, 0.0, -np.pi + 0.35)))
    assert ak.all(ak.num(inside["muons"]) == 0)
    assert ak.all(ak.num(outside["muons"]) == 1)


def test_particles_of_other_events_do_not_count() -> None:
    out = run(events([(13, 30.0, 0.0, 0.0)], [(211, 80.0, 0.0, 0.1)], [(13, 30.0, 0.0, 0.0), (211, 80.0, 0.0, 0.1)]))
    assert ak.to_list(ak.num(out["muons"])) == [1, 0, 0]


def test_electrons_recover_their_photons_and_muons_do_not() -> None:
    photon = (22, 10.0, 1.0, 0.02)
    electron = run(repeat(2000, (11, 30.0, 1.0, 0.0), photon))
    muon = run(repeat(2000, (13, 30.0, 1.0, 0.0), photon))
    assert ak.mean(ak.flatten(electron["electrons"].pt)) == pytest.approx(40.0, rel=0.01)
    assert ak.mean(ak.flatten(muon["muons"].pt)) == pytest.approx(30.0, rel=0.01)


def test_a_photon_goes_to_the_nearest_electron() -> None:
    pair = ((11, 20.0, 0.0, 0.0), (-11, 20.0, 0.0, 0.5), (22, 8.0, 0.0, 0.47))
    pt = run(repeat(2000, *pair))["electrons"]
    first = pt[abs(pt.phi) < 0.01]
    second = pt[abs(pt.phi - 0.5) < 0.01]
    assert ak.mean(ak.flatten(first.pt)) == pytest.approx(20.0, rel=0.01)
    assert ak.mean(ak.flatten(second.pt)) == pytest.approx(28.0, rel=0.01)


def test_unidentified_leptons_are_still_seen() -> None:
    blind = DetectorSettings.model_validate(
        {
            "electrons": {"efficiency": [{"abs_eta_max": 3.0, "plateau": 0.0}]},
            "muons": {"efficiency": [{"abs_eta_max": 2.4, "plateau": 0.0}]},
        }
    )
    electron, muon = (run(repeat(500, (code, 50.0, 0.5, 0.0)), blind) for code in (11, 13))
    assert ak.mean(ak.num(electron["jets"]) == 1) > 0.99
    assert ak.mean(ak.num(muon["jets"]) == 1) == pytest.approx(blind.tracking.efficiency, abs=0.05)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.5])
def test_fluctuations_keep_the_mean(sigma: float) -> None:
    n = 400_000
    factor = fluctuation(np.full(n, sigma), np.random.default_rng(0).standard_normal(n))
    assert factor.min() > 0
    assert factor.mean() == pytest.approx(1.0, abs=4 * sigma / np.sqrt(n))
    assert factor.std() == pytest.approx(sigma, rel=0.05)


def test_lost_radiation() -> None:
    n = 200_000
    regions = (MaterialRegion(abs_eta_max=1.0, thickness=0.3), MaterialRegion(abs_eta_max=3.0, thickness=0.0))
    eta = np.where(np.arange(2 * n) < n, -0.5, 2.0)
    kept = bremsstrahlung(regions, eta, np.random.default_rng(0))
    assert kept.max() <= 1.0
    assert kept[:n].mean() == pytest.approx(np.exp(-0.3), abs=4 * kept[:n].std() / np.sqrt(n))
    assert (kept[n:] == 1.0).all()
