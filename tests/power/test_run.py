"""A scan gives the same numbers wherever it is computed, and when its workers die or its user stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from tests.power.problems import Mortal, pseudo_data, rival, sample, signals
from unseen.arrays import write_arrays
from unseen.errors import NotEnoughEventsError
from unseen.power import Candidate, KernelCandidate, Scan, ToyStore, run_scan
from unseen.power.run import Toys
from unseen.workers import Workers, workers
from unseen.workers.serial import Serial

ROOT = Path(__file__).parents[2]
STOPPED = "interrupted; what is done is kept: run the same command to continue\n"
SCAN = Scan(("bump", "ring"), (15,), n_toys=6, n_null=6, seed=3, chunk=3)


def candidates() -> dict[str, Candidate]:
    return {"kernel": KernelCandidate(pseudo_data()), "knn": rival("knn"), "c2st": rival("c2st")}


def scan_with(pool: Workers, found: Mapping[str, Candidate], folder: Path) -> Toys:
    return run_scan(SCAN, found, dict.fromkeys(found, True), ToyStore(folder, {}), pool)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Toys:
    return scan_with(Serial(), candidates(), tmp_path_factory.mktemp("alone"))


def same(one: Toys, other: Toys) -> None:
    for test, t in one.t.items():
        for name, values in t.items():
            np.testing.assert_array_equal(values, other.t[test][name], err_msg=f"{test} {name}")


@pytest.mark.parametrize("count", [1, 2])
def test_threads_give_the_same_numbers(count: int, alone: Toys, tmp_path: Path) -> None:
    with workers(None, count, threads=True) as pool:
        same(scan_with(pool, candidates(), tmp_path), alone)


@pytest.mark.parametrize("cluster", [None, "local"])
def test_processes_give_the_same_numbers_also_when_one_is_killed(
    cluster: str | None, alone: Toys, tmp_path: Path
) -> None:
    with workers(cluster, 2) as pool:
        same(scan_with(pool, candidates(), tmp_path / "toys"), alone)
        mortal = {"kernel": Mortal(KernelCandidate(pseudo_data()), tmp_path / "died")}
        killed = scan_with(pool, mortal, tmp_path / "killed")
    assert (tmp_path / "died").exists()
    same(killed, Toys({"kernel": alone.t["kernel"]}))


def test_the_error_of_a_test_ends_the_scan_and_keeps_what_is_done(tmp_path: Path) -> None:
    scan = Scan(("bump",), (0, 121), n_toys=4, n_null=4, seed=3, chunk=4)
    found, store = {"kernel": KernelCandidate(pseudo_data())}, ToyStore(tmp_path, {})
    with pytest.raises(NotEnoughEventsError, match="there are 120"), workers(None, 2, threads=True) as pool:
        run_scan(scan, found, {"kernel": True}, store, pool)
    assert not list(tmp_path.rglob("bump-121*"))


def start(folder: Path) -> subprocess.Popen[str]:
    arguments = "power --background b.npz --signal bump=s.npz --n-reference 400 --n-data 80 --n-signal 0,10,20"
    options = "--config c.yaml --toys 200 --null-toys 300 --workers 1 --json --quiet -o power.json"
    return subprocess.Popen(
        [sys.executable, "-m", "unseen.cli", *arguments.split(), *options.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_a_study_stopped_from_the_keyboard_continues_to_the_same_result(tmp_path: Path) -> None:
    done, contents = [], []
    for name in ("stopped", "through"):
        folder = tmp_path / name
        write_arrays(folder / "b.npz", x=sample(0, 1500))
        write_arrays(folder / "s.npz", x=signals()["bump"])
        (folder / "c.yaml").write_text(
            "simulate: {}\nsearch: {n_centers: 30, widths: [0.5, 1.5], normalisation: known}\n"
        )
        process = start(folder)
        if name == "stopped":
            deadline = time.monotonic() + 120
            while len(list(folder.rglob("*.h5"))) < 3 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            assert (process.returncode, said) == (130, STOPPED)
            assert not (folder / "power.json").exists()
            done = list(folder.rglob("*.h5"))
            assert 3 <= len(done) < 2 * (3 + 3 * 2)
            made = [path.stat().st_mtime_ns for path in done]
            process = start(folder)
        out, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, "")
        assert json.loads(out.splitlines()[-1])["n_signal"] == [0, 10, 20]
        contents.append((folder / "power.json").read_bytes())
    assert contents[0] == contents[1]
    assert [path.stat().st_mtime_ns for path in done] == made


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mmd", "energy", "mahalanobis", "binned", "isolation_forest", "autoencoder"])
def test_every_rival_gives_the_same_numbers_in_threads_and_processes(name: str, tmp_path: Path) -> None:
    found = {name: rival(name)}
    results = []
    for i, threads in enumerate((None, True, False)):
        with nullcontext(Serial()) if threads is None else workers(None, 2, threads=threads) as pool:
            results.append(scan_with(pool, found, tmp_path / str(i)))
    same(results[0], results[1])
    same(results[0], results[2])
