"""Generated collisions against the values of the specification; see docs/validation/simulation.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.events import Events, select
from unseen.events.observables import dilepton_mass, jet_multiplicity, lepton_multiplicity, met, transverse_mass
from unseen.simulate import SimulationConfig, load_processes
from unseen.simulate.generate import generate
from unseen.simulate.jobs import plan_libraries, plan_shards
from unseen.simulate.libraries import make_library, valid_library

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("physics")


def make(folder: Path, name: str, n: int, fidelity: str = "fast", role: str = "test") -> tuple[Events, dict[str, Any]]:
    config = SimulationConfig.model_validate(
        {role: {name: n}, "fidelity": fidelity, "shard_size": n, "underlying_events": 1000, "decays": 2000}
    )
    processes = {name: load_processes()[name].model_copy(update={"shard_size": n})}
    jobs = plan_libraries(config, processes, folder, 1)
    for job in jobs:
        if not valid_library(job):
            make_library(job)
    [shard] = plan_shards(config, processes, folder, 1, jobs)
    events, account = generate(shard)
    return select(events), account


def test_w(folder: Path) -> None:
    events, account = make(folder, "w", 3000)
    assert np.median(met(events)) == pytest.approx(35.5, abs=1.5)
    assert np.mean(jet_multiplicity(events) == 0) == pytest.approx(0.83, abs=0.03)
    assert account["cross_section_pb"] == pytest.approx(13_600, rel=0.08)
    assert account["passed"] / account["generated"] == pytest.approx(0.285, abs=0.02)
    mass = transverse_mass(events)
    assert np.mean(mass > 80.4) == pytest.approx(0.20, abs=0.03)  # the edge is at the mass of the W
    assert np.mean(mass > 100) < 0.03
    eta = np.where(
        events.has("electrons")[:, 0], events.get("electrons", "eta")[:, 0], events.get("muons", "eta")[:, 0]
    )
    assert np.median(np.abs(eta)) == pytest.approx(1.19, abs=0.08)
    assert np.median(eta) == pytest.approx(0.0, abs=0.1)


def test_z_peaks(folder: Path) -> None:
    events, account = make(folder, "z", 2000)
    assert account["passed"] / account["generated"] == pytest.approx(0.29, abs=0.025)
    mass = dilepton_mass(events)
    electrons = events.has("electrons")[:, 1]
    for kind, target in ((electrons, 90.3), (~electrons, 90.5)):
        peak = mass[kind & (mass > 70) & (mass < 110)]
        assert np.median(peak) == pytest.approx(target, abs=0.8)


def test_tt(folder: Path) -> None:
    events, account = make(folder, "tt", 1000)
    assert account["passed"] / account["generated"] == pytest.approx(0.26, abs=0.03)
    assert np.mean(jet_multiplicity(events) >= 3) == pytest.approx(0.78, abs=0.05)
    assert np.median(met(events)) == pytest.approx(55, abs=4)


def test_a_to_four_leptons(folder: Path) -> None:
    events, account = make(folder, "ato4l", 800)
    assert account["passed"] / account["generated"] == pytest.approx(0.25, abs=0.03)
    assert np.mean(lepton_multiplicity(events) >= 4) == pytest.approx(0.125, abs=0.04)


def test_qcd_rate_and_copies(folder: Path) -> None:
    events, account = make(folder, "qcd", 100)
    assert len(np.unique(events.record["source"])) == len(events) == 100
    assert account["cross_section_pb"] == pytest.approx(14_000, rel=0.4)
    assert account["lost_fraction"] < 0.2
    copied, training = make(folder, "qcd", 200, role="train")
    assert training["cross_section_pb"] == pytest.approx(account["cross_section_pb"], rel=0.6)
    assert np.unique(copied.record["source"], return_counts=True)[1].max() <= 5
    assert training["effective"] > 60


def test_fast_agrees_with_full(folder: Path) -> None:
    (fast, a), (full, b) = make(folder, "w", 3000), make(folder, "w", 1000, "full")
    efficiency = [x["passed"] / x["generated"] for x in (a, b)]
    assert efficiency[0] == pytest.approx(efficiency[1], rel=0.12)
    assert jet_multiplicity(fast).mean() == pytest.approx(jet_multiplicity(full).mean(), abs=0.07)
    assert np.median(met(fast)) == pytest.approx(np.median(met(full)), abs=2.5)
