"""Whole small runs: what is on disk, resuming, pools."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import psutil
import pytest

from unseen.errors import DiskSpaceError
from unseen.events import Sample, select, valid_shard
from unseen.simulate import Process, Progress, SimulationConfig, simulate
from unseen.simulate import run as run_module
from unseen.simulate.overlay import UnderlyingEvents
from unseen.simulate.particles import Particles
from unseen.simulate.recorded import recorded

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
    assert set(events.record) == set(recorded(SimulationConfig()))
    assert np.median(events.record["m_hat"]) == pytest.approx(91, abs=2)


def test_progress_ends_complete(finished: tuple[Path, dict[str, Sample], list[Progress]]) -> None:
    *_, reports = finished
    assert reports[0].shards_done == 0
    last = reports[-1]
    assert (last.shards_done, last.events_done, last.seconds_left) == (5, 153, 0.0)
    assert last.events_per_second > 0


def test_nothing_is_done_twice(
    finished: tuple[Path, dict[str, Sample], list[Progress]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, *_ = finished
    monkeypatch.setattr(run_module.parallel, "workers", None)
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
import sys
from pathlib import Path
from unseen.simulate import simulate
from tests.simulate.test_simulate import CONFIG, SEED
if __name__ == "__main__":
    simulate(CONFIG, Path(sys.argv[1]), SEED, workers=1)
"""


def shards(out: Path) -> set[str]:
    """The shards when nobody writes: all are whole, and nothing half-written lies beside them."""
    assert not list(out.rglob("*.part"))
    found = {str(path.relative_to(out)) for path in out.glob("t*/*.h5")}
    assert all(valid_shard(out / name) for name in found)
    return found


def any_whole_shard(out: Path) -> bool:
    """Whether one is whole already; others may wait for their sidecars, which are written after them."""
    return any(valid_shard(path) for path in out.glob("t*/*.h5"))


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, here and in the workers: the writing of a shard fails half-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill_the_disk(out: Path) -> None:
    with largest_file(15_000), pytest.raises(DiskSpaceError, match=r"zmumu-\d+\.h5; nothing half-written remains"):
        simulate(CONFIG, out, SEED, workers=1)


def kill(out: Path) -> None:
    program = out.parent / "program.py"
    program.write_text(PROGRAM)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    before = shards(out)
    process = subprocess.Popen([sys.executable, program, out], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while {str(path.relative_to(out)) for path in out.glob("t*/*.h5")} == before and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert process.wait(timeout=30) != 0
    assert not psutil.wait_procs(workers, timeout=60)[1]  # they notice that they are alone


def press_ctrl_c(out: Path) -> None:
    before = len(shards(out))

    def interrupt(now: Progress) -> None:
        if now.shards_done > before:
            signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background jobs
    try:
        with pytest.raises(KeyboardInterrupt):
            simulate(CONFIG, out, SEED, workers=1, progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, handler)


def kill_a_worker(out: Path) -> None:
    """Make everything on a local cluster of which a worker is killed after its first shard."""
    killed: list[int] = []

    def kill(now: Progress) -> None:
        if not killed and any_whole_shard(out):
            killed.append(next(process.pid for process in active_children() if process.is_alive()))
            os.kill(killed[0], signal.SIGKILL)

    simulate(CONFIG, out, SEED, workers=2, progress=kill, cluster="local")
    assert killed


def lose_shards(out: Path) -> None:
    (out / "train" / "qcd-00000.h5").unlink()
    (out / "train" / ".zmumu-00001.h5.123.part").write_bytes(b"half")
    (out / "libraries" / "decays-train.npz").unlink()
    damaged = next(path for path in sorted(out.glob("t*/zmumu-*.h5")))
    damaged.write_bytes(damaged.read_bytes()[:-10])


def test_a_run_continues_to_the_same_bytes_whatever_stopped_it(
    finished: tuple[Path, dict[str, Sample], list[Progress]], tmp_path: Path
) -> None:
    done, *_ = finished
    out = tmp_path / "out"
    shutil.copytree(done / "libraries", out / "libraries")
    fill_the_disk(out)
    assert shards(out) == {"train/qcd-00000.h5"}
    kill(out)
    [part.unlink() for part in out.rglob("*.part")]  # nobody was left to do it; the next run would
    assert len(shards(out)) > 1
    [(out / name).unlink() for name in sorted(shards(out))[2:]]  # what its worker did before it noticed: leave some
    press_ctrl_c(out)
    assert len(shards(out)) > 2
    assert not list(out.rglob("sample.json"))
    lose_shards(out)
    simulate(CONFIG, out, SEED, workers=2)
    assert contents(out) == contents(done)


def test_a_cluster_of_which_a_worker_is_killed_makes_the_same_bytes(
    finished: tuple[Path, dict[str, Sample], list[Progress]], tmp_path: Path
) -> None:
    done, *_ = finished
    shutil.copytree(done / "libraries", tmp_path / "out" / "libraries")
    kill_a_worker(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(done)


def test_a_library_on_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    events = UnderlyingEvents(Particles(np.array([0, 1]), np.array([211], np.int32), np.ones((1, 4))))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskSpaceError, match="no space left"):
        events.save(tmp_path / "library.npz")
    assert not list(tmp_path.iterdir())
