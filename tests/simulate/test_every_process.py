"""One tiny shard of every built-in process, and the underlying event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unseen.events import select
from unseen.simulate import SimulationConfig, load_processes
from unseen.simulate.generate import generate
from unseen.simulate.jobs import LibraryJob, ShardJob, plan_libraries, plan_shards
from unseen.simulate.libraries import make_library
from unseen.simulate.overlay import UnderlyingEvents
from unseen.simulate.particles import Particles

N = 3


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    processes = load_processes()
    config = SimulationConfig(test=dict.fromkeys(processes, N), underlying_events=30, decays=60)
    for job in plan_libraries(config, processes, folder, 1):
        make_library(job)
    return folder


def out_of_test(job: ShardJob) -> tuple[LibraryJob, ...]:
    """The libraries of the other role, which are there."""
    return tuple(replace(one, path=Path(str(one.path).replace("-train", "-test"))) for one in job.libraries)


@pytest.mark.parametrize("name", list(load_processes()))
def test_tiny_shard(name: str, out: Path) -> None:
    processes = load_processes()
    config = SimulationConfig(test={name: N}, underlying_events=30, decays=60)
    [job] = plan_shards(config, processes, out, 1, plan_libraries(config, processes, out, 1))
    events, account = generate(job)
    assert len(select(events)) == N
    assert events.label_names == (processes[name].label,)
    assert account["cross_section_pb"] > 0
    assert account["passed"] >= N


@pytest.mark.slow
@pytest.mark.parametrize("name", list(load_processes()))
def test_tiny_shard_with_several_rows_of_an_event(name: str, out: Path) -> None:
    processes = load_processes()
    again = {"hadronisation": 2, "detector": 2}
    config = SimulationConfig(train={name: 10 * N}, underlying_events=30, decays=60, resimulations=again)
    [job] = plan_shards(config, processes, out, 1, plan_libraries(config, processes, out, 1))
    events, account = generate(replace(job, libraries=out_of_test(job)))
    assert len(select(events)) == 10 * N
    shared = [events.record["m_hat"][events.record["source"] == one] for one in np.unique(events.record["source"])]
    assert max(len(rows) for rows in shared) > 1
    assert {len(np.unique(rows)) for rows in shared} == {1}
    assert account["effective"] < account["passed"]


@pytest.mark.parametrize("name", ["w", "tt"])  # with a filter and without; QCD: test_simulate.py
def test_the_same_job_makes_the_same_events(name: str, out: Path) -> None:
    processes = load_processes()
    config = SimulationConfig(train={name: N}, test={name: N}, underlying_events=30, decays=60)
    jobs = plan_shards(config, processes, out, 1, plan_libraries(config, processes, out, 1))
    [job] = (job for job in jobs if job.role == "test")
    events, account = generate(job)
    assert generate(job) == (events, account)


def test_underlying_event_adds_soft_particles_without_leptons(out: Path) -> None:
    library = UnderlyingEvents.load(out / "libraries" / "underlying-test.npz")
    assert len(library.events) == 30
    assert not np.isin(np.abs(library.events.id), (12, 14, 16, 24)).any()
    assert library.events.counts.mean() > 100
    empty = Particles(np.zeros(8, np.int64), np.zeros(0, np.int32), np.zeros((0, 4)))
    first, second = (library.overlay(empty, np.random.default_rng(seed)) for seed in (1, 1))
    assert np.array_equal(first.p, second.p)
    pt, mine = (np.hypot(x.p[:, 0], x.p[:, 1]) for x in (library.events, first))
    sums = np.add.reduceat(pt, library.events.offsets[:-1][library.events.counts > 0])
    for total in np.add.reduceat(mine, first.offsets[:-1][first.counts > 0]):
        assert np.abs(sums - total).min() < 1e-6 * total  # turned and reflected, nothing else
