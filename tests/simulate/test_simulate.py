"""Whole small runs: what is on disk, resuming, pools."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unseen.errors import DiskSpaceError
from unseen.events import Sample, select
from unseen.simulate import Process, Progress, SimulationConfig, simulate
from unseen.simulate import run as run_module
from unseen.simulate.overlay import UnderlyingEvents
from unseen.simulate.particles import Particles

MUONS = Process(
    label="dimuon",
    settings=("WeakSingleBoson:ffbar2gmZ=on", "23:onMode=off", "23:onIfAny=13", "PhaseSpace:mHatMin=60"),
    cross_section_pb=1000.0,
)
CONFIG = SimulationConfig(
    train={"zmumu": 60, "qcd": 3},
    test={"zmumu": 90},
    shard_size=50,
    underlying_events=40,
    decays=100,
    copies=20,
    processes={"zmumu": MUONS},
)
SEED = 4


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Sample], list[Progress]]:
    out = tmp_path_factory.mktemp("simulation")
    reports: list[Progress] = []
    return out, simulate(CONFIG, out, SEED, workers=1, progress=reports.append), reports


def test_counts_labels_and_description(finished: tuple[Path, dict[str, Sample], list[Progress]]) -> None:
    _, samples, _ = finished
    assert set(samples) == {"train", "test"}
    train, test = samples["train"].load(), samples["test"].load()
    assert len(select(train.of("dimuon"))) == 60
    assert len(select(train.of("qcd"))) == 3
    assert len(select(test)) == 90
    assert len(select(test, test.schema.preselection)) == len(test) > 90
    described = samples["test"].provenance["processes"]["zmumu"]
    assert described["asked"] == 90
    assert 300 < described["cross_section_pb"] < 900
    assert samples["test"].shards[0].n_events >= 50


def test_roles_share_no_source_and_test_has_one_row_each(
    finished: tuple[Path, dict[str, Sample], list[Progress]],
) -> None:
    _, samples, _ = finished
    train, test = (samples[role].load().record["source"] for role in ("train", "test"))
    assert train.dtype == np.int64
    assert not np.isin(train, test).any()
    assert len(np.unique(test)) == len(test)


def test_truth_records(finished: tuple[Path, dict[str, Sample], list[Progress]]) -> None:
    _, samples, _ = finished
    events = samples["test"].load()
    assert (np.abs(events.record["true_lepton"]) == 13).mean() > 0.95
    assert (events.record["n_taus"] == 0).all()
    assert np.median(events.record["m_hat"]) == pytest.approx(91, abs=2)


def test_progress_ends_complete(finished: tuple[Path, dict[str, Sample], list[Progress]]) -> None:
    *_, reports = finished
    assert reports[0].shards_done == 0
    last = reports[-1]
    assert (last.shards_done, last.events_done, last.seconds_left) == (5, 153, 0.0)
    assert last.events_per_second > 0


def test_same_seed_same_bytes_after_losing_shards(
    finished: tuple[Path, dict[str, Sample], list[Progress]], tmp_path: Path
) -> None:
    out, *_ = finished
    copy = tmp_path / "again"
    shutil.copytree(out, copy)
    (copy / "test" / "zmumu-00000.h5").unlink()
    damaged = copy / "train" / "zmumu-00001.h5"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    (copy / "train" / ".zmumu-00001.h5.123.part").write_bytes(b"half")
    (copy / "libraries" / "underlying-test.npz").unlink()
    simulate(CONFIG, copy, SEED, workers=2)
    assert contents(copy) == contents(out)


def test_nothing_is_done_twice(
    finished: tuple[Path, dict[str, Sample], list[Progress]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, *_ = finished
    monkeypatch.setattr(run_module, "_Pool", None)
    assert len(simulate(CONFIG, out, SEED)["test"]) > 0


def test_another_seed_or_setting_makes_new_shards(finished: tuple[Path, dict[str, Sample], list[Progress]]) -> None:
    out, *_ = finished
    processes = run_module.load_processes(CONFIG.processes)
    libraries = run_module.plan_libraries(CONFIG, processes, out, SEED)
    jobs = run_module.plan_shards(CONFIG, processes, out, SEED, libraries)
    assert all(run_module.valid_shard(job.path, job.meta) for job in jobs)
    other = run_module.plan_shards(CONFIG, processes, out, SEED + 1, libraries)
    looser = CONFIG.model_copy(update={"trials": 10})
    assert not any(run_module.valid_shard(job.path, job.meta) for job in other)
    assert not any(
        run_module.valid_shard(job.path, job.meta)
        for job in run_module.plan_shards(looser, processes, out, SEED, libraries)
    )


PROGRAM = """
import signal, sys
from pathlib import Path
from unseen.simulate import simulate
from tests.simulate.test_simulate import CONFIG, SEED
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
    simulate(CONFIG, Path(sys.argv[1]), SEED, workers=1)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_run_continues_to_the_same_bytes(
    finished: tuple[Path, dict[str, Sample], list[Progress]], tmp_path: Path, how: signal.Signals
) -> None:
    done, *_ = finished
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    root = Path(__file__).parents[2]
    shutil.copytree(done / "libraries", out / "libraries")
    process = subprocess.Popen(
        [sys.executable, program, out], env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*/*.h5")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(timeout=30) != 0
    time.sleep(0.2)
    assert list(out.glob("*/*.h5"))
    assert not (out / "test" / "sample.json").exists()
    simulate(CONFIG, out, SEED, workers=1)
    assert contents(out) == contents(done)


def test_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    events = UnderlyingEvents(Particles(np.array([0, 1]), np.array([211], np.int32), np.ones((1, 4))))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskSpaceError, match="no space left"):
        events.save(tmp_path / "library.npz")
    assert not list(tmp_path.iterdir())
