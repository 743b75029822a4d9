"""Reaching clusters that run, in real processes, and every way in which that fails."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import unseen
from tests.workers import tasks
from unseen.errors import ClusterError, MissingExtraError, MissingFileError, UnknownNameError, WorkerVersionError
from unseen.workers import check_cluster, connect, names, workers
from unseen.workers.cluster import DaskWorkers
from unseen.workers.versions import compare, versions

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process of Dask's command line that knows the scheduler file; all end with the test."""
    with contextlib.ExitStack() as stack:

        def begin(program: str, *arguments: str, package: Path = ROOT / "src") -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", f"distributed.cli.dask_{program}", "--scheduler-file", "cluster.json"]
            environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
            process = subprocess.Popen(
                [*command, "--no-dashboard", *arguments], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def scheduler(start: Start, tmp_path: Path) -> subprocess.Popen[bytes]:
    process = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    deadline = time.monotonic() + 30
    while not (tmp_path / "cluster.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


@pytest.fixture
def worker(start: Start, scheduler: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    return start("worker", "--nthreads", "1", "--no-nanny")


@pytest.fixture
def other_package(tmp_path: Path) -> Path:
    """The package with one more line."""
    home = Path(unseen.__file__).parent
    shutil.copytree(home, tmp_path / "other" / "unseen", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "other" / "unseen" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    return tmp_path / "other"


@pytest.mark.usefixtures("worker")
def test_a_cluster_that_runs_and_a_late_worker_of_another_version(
    start: Start, tmp_path: Path, other_package: Path
) -> None:
    done: dict[int, int] = {}
    with workers(str(tmp_path / "cluster.json"), None) as pool:
        pool.run(tasks.slow_square, range(20), done.__setitem__, shared=0.0)
        assert done == {job: job * job for job in range(20)}
        assert pool.count == 1
        start("worker", "--nthreads", "1", "--no-nanny", package=other_package)
        with pytest.raises(WorkerVersionError, match=r"unseen \S+ \(files \w+\) instead of .*same environment"):
            pool.run(tasks.slow_square, range(1000), done.__setitem__, shared=0.05)
    with (
        pytest.raises(WorkerVersionError, match=r"tcp://127\.0\.0\.1:"),
        workers(str(tmp_path / "cluster.json"), None),
    ):
        pytest.fail("a worker of another version was accepted")


@pytest.mark.usefixtures("scheduler")
def test_a_scheduler_without_workers_and_a_worker_of_two_threads(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "cluster.json")
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match="has no workers: start some"), workers(file, None):
        pytest.fail("there are no workers")
    monkeypatch.undo()
    start("worker", "--nthreads", "2", "--no-nanny")
    with pytest.raises(ClusterError, match="2 threads, but one process does one job"), workers(file, None):
        pytest.fail("two threads were accepted")


@pytest.mark.usefixtures("worker")
def test_a_scheduler_that_dies(
    scheduler: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connect.SETTINGS, "distributed.comm.timeouts.connect", "1s")
    done: dict[int, int] = {}

    def kill() -> None:
        if done:
            scheduler.kill()

    with (
        pytest.raises(ClusterError, match=r"connection to the Dask scheduler was lost"),
        workers(str(tmp_path / "cluster.json"), None) as pool,
    ):
        pool.run(tasks.slow_square, range(100), done.__setitem__, kill, shared=0.2)
    assert 0 < len(done) < 20


def test_a_scheduler_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://host:1"):
        with (
            pytest.raises(ClusterError, match=rf"no Dask scheduler answers at {address} .*'dask scheduler'"),
            workers(address, None),
        ):
            pytest.fail("nobody is there")
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ClusterError, match=r"cluster\.json"), workers(str(tmp_path / "cluster.json"), None):
        pytest.fail("the file is damaged")


def test_names_are_checked_before_anything_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_cluster(None, None)
    check_cluster("local", None)
    with pytest.raises(UnknownNameError, match=r"'slrum' is unknown; did you mean 'slurm'\?.*tcp://host:8786"):
        check_cluster("slrum", 3)
    with pytest.raises(MissingFileError, match=r"absent\.json"):
        check_cluster(str(tmp_path / "absent.json"), None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="needs the number of workers"):
        check_cluster("slurm", None)
    import dask

    with (
        dask.config.set({"jobqueue.htcondor.cores": None}),
        pytest.raises(ClusterError, match=r"jobqueue: \{htcondor: \{cores: 1, memory: 2GB\}\}"),
    ):
        check_cluster("htcondor", 2)
    with (
        dask.config.set({"jobqueue.slurm.cores": 1, "jobqueue.slurm.memory": "2GB"}),
        pytest.raises(ClusterError, match="no command 'sbatch' here"),
    ):
        check_cluster("slurm", 2)


def test_the_extra_is_named() -> None:
    block = "import sys; sys.modules['distributed'] = None; sys.modules['dask_jobqueue'] = None\n"
    program = f"{block}import unseen.workers as w\nwith w.workers('local', 1): pass"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "MissingExtraError: --cluster needs distributed: pip install 'unseen[cluster]'" in done.stderr
    with pytest.raises(MissingExtraError, match="no_such_module"):
        names._require_extra("no_such_module")


def test_versions_are_listed() -> None:
    here = versions()
    assert set(here) == {"python", "numpy", "torch", "unseen"}
    compare(here, {"a": versions()})
    older = here | {"numpy": "1.0"}
    with pytest.raises(
        WorkerVersionError, match=r"^a has numpy 1.0 instead of \S+; c has .*; and 1 more workers: start"
    ):
        compare(here, {"a": older, "b": here, "c": older, "d": older, "e": {"python": "2.7"}})


# That class leaves the handles of its processes to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_in_batch_jobs_come_when_the_queue_lets_them() -> None:
    """The class that dask-jobqueue has for a machine without a batch system: its jobs are processes here."""
    import dask
    from dask_jobqueue.local import LocalCluster

    done: dict[int, int] = {}
    settings = {"jobqueue.local.cores": 1, "jobqueue.local.memory": "1GB"}
    with (
        dask.config.set(settings),
        connect._quiet(),
        connect.batch_cluster("local", LocalCluster, 2) as client,
    ):
        pool = DaskWorkers(client, 2, patient=True)
        pool.run(tasks.slow_square, range(20), done.__setitem__, shared=0.02)
        assert len(client.nthreads()) > 0
        assert set(client.nthreads().values()) == {1}
    gc.collect()
    assert done == {job: job * job for job in range(20)}
