"""Toys on disk: never computed twice, never mixed with others, whole or absent."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.power.problems import Counting, pseudo_data, rival, sample
from unseen.errors import CorruptFileError, DiskSpaceError, StoreMismatchError
from unseen.power import Candidate, KernelCandidate, Scan, ToyStore, content_hash, run_scan
from unseen.power.plan import Chunk, Sample, chunks
from unseen.power.run import Toys
from unseen.workers.serial import Serial

SCAN = Scan(("bump",), (0, 10), n_toys=12, n_null=20, seed=1, chunk=10)
CHUNK = Chunk("kernel", 1, Sample("bump", 5, None), 2, 10, 77)
CONFIGURATION = {"events": "abc", "seed": 1, "search": {"n_centers": 30, "widths": [0.5, 1.5]}}


@pytest.fixture
def candidate() -> Candidate:
    return KernelCandidate(pseudo_data())


def scan_into(folder: Path, candidate: Candidate, scan: Scan = SCAN) -> Toys:
    store = ToyStore(folder, CONFIGURATION)
    return run_scan(scan, {"kernel": candidate}, {"kernel": True}, store, Serial())


def counting(candidate: Candidate, folder: Path) -> Counting:
    folder.mkdir()
    return Counting(candidate, folder)


def same(one: Toys, other: Toys) -> None:
    assert {test: set(t) for test, t in one.t.items()} == {test: set(t) for test, t in other.t.items()}
    for test, t in one.t.items():
        for name, values in t.items():
            np.testing.assert_array_equal(values, other.t[test][name])


def test_what_is_done_is_not_done_again(candidate: Candidate, tmp_path: Path) -> None:
    first = scan_into(tmp_path / "toys", counting(candidate, tmp_path / "first"))
    n_chunks = 2 * (2 + 2 * 2)
    assert len(list((tmp_path / "first").iterdir())) == n_chunks
    same(scan_into(tmp_path / "toys", counting(candidate, tmp_path / "again")), first)
    assert not list((tmp_path / "again").iterdir())
    removed = list((tmp_path / "toys").rglob("*.h5"))[::3]
    for path in removed:
        path.unlink()
    same(scan_into(tmp_path / "toys", counting(candidate, tmp_path / "mended")), first)
    assert len(list((tmp_path / "mended").iterdir())) == len(removed)


def test_a_longer_scan_computes_only_what_is_new(candidate: Candidate, tmp_path: Path) -> None:
    first = scan_into(tmp_path / "toys", candidate)
    longer = replace(SCAN, injections=(0, 5, 10), n_null=40)
    second = scan_into(tmp_path / "toys", counting(candidate, tmp_path / "new"), longer)
    # At each of 2 widths: two more chunks of the null, and the new injection's full and partial one.
    assert len(list((tmp_path / "new").iterdir())) == 2 * (2 + 2)
    null = Sample(None, 0, None)
    np.testing.assert_array_equal(second.t["kernel"][null][:20], first.t["kernel"][null])
    for n in (0, 10):
        of = Sample("bump", n, None)
        np.testing.assert_array_equal(second.t["kernel"][of], first.t["kernel"][of])
    same(scan_into(tmp_path / "other", candidate, longer), second)


def test_progress_counts_what_was_there(candidate: Candidate, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    total = 2 * (20 + 2 * 12)
    for expected in ((0, total), (total, total)):
        seen.clear()
        store = ToyStore(tmp_path / "toys", CONFIGURATION)
        run_scan(
            SCAN,
            {"kernel": candidate},
            {"kernel": True},
            store,
            Serial(),
            lambda done, of: seen.append((done, of)),
        )
        assert (seen[0], seen[-1]) == (expected, (total, total))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 2}, r"seed \(1, now 2\)"),
        ({"search": {"n_centers": 40, "widths": [0.5, 1.5]}}, r"search\.n_centers \(30, now 40\)"),
        ({"more": True}, r"more \(None, now True\)"),
        ({"events": "abd", "seed": 3}, r"events \('abc', now 'abd'\), seed \(1, now 3\)"),
    ],
)
def test_toys_of_another_configuration_are_refused(changes: dict[str, object], named: str, tmp_path: Path) -> None:
    ToyStore(tmp_path, CONFIGURATION)
    ToyStore(tmp_path, CONFIGURATION)
    with pytest.raises(StoreMismatchError, match=rf"configuration: {named}\. Choose another folder, or delete it"):
        ToyStore(tmp_path, CONFIGURATION | changes)


@pytest.mark.parametrize("content", ["{", "[]", "3"])
def test_a_broken_header_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "toys.json").write_text(content)
    with pytest.raises(CorruptFileError, match=r"toys\.json .*delete the folder"):
        ToyStore(tmp_path, CONFIGURATION)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = ToyStore(tmp_path, CONFIGURATION)
    t = np.random.default_rng(0).normal(size=(10, 3))
    assert store.read(CHUNK) is None
    store.write(CHUNK, t)
    np.testing.assert_array_equal(store.read(CHUNK), t)
    assert store.read(replace(CHUNK, column=0)) is None
    assert store.read(replace(CHUNK, n_toys=9)) is None
    with h5py.File(store.path(CHUNK)) as file:
        assert dict(file.attrs) == {"test": "kernel", "column": 1, "sample": "bump-5", "seed": 77}


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other", "short"])
def test_a_broken_file_is_named(damage: str, tmp_path: Path) -> None:
    store = ToyStore(tmp_path, CONFIGURATION)
    store.write(CHUNK, np.zeros((10, 3)))
    path = store.path(CHUNK)
    whole = path.read_bytes()
    if damage in ("other", "short"):
        with h5py.File(path, "w") as file:
            file["x" if damage == "other" else "t"] = np.zeros((9, 3))
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no HDF5" * 100}[damage])
    with pytest.raises(CorruptFileError, match=rf"{path} .*; delete it to compute its toys again"):
        store.read(CHUNK)
    path.unlink()
    assert store.read(CHUNK) is None


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = ToyStore(tmp_path, CONFIGURATION)
    big = replace(CHUNK, n_toys=5000)
    with largest_file(20_000), pytest.raises(DiskSpaceError, match=rf"{store.path(big)}; nothing half-written remains"):
        store.write(big, np.zeros((5000, 1)))
    assert not list(store.path(big).parent.iterdir())
    store.write(big, np.zeros((5000, 1)))
    assert store.read(big) is not None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from tests.power.test_store import CHUNK, CONFIGURATION
from unseen.power import ToyStore
from dataclasses import replace
store = ToyStore(Path(sys.argv[1]), CONFIGURATION)
for i in range(100_000):
    store.write(replace(CHUNK, seed=i, n_toys=2000), np.full((2000, 2), float(i)))
"""


def test_a_process_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("*.h5"))) < 20 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = ToyStore(tmp_path, CONFIGURATION)
    found = [path for path in tmp_path.rglob("*.h5") if not path.name.startswith(".")]
    assert len(found) >= 20
    for path in found:
        seed = int(path.stem.split("-")[2])
        t = store.read(replace(CHUNK, seed=seed, n_toys=2000))
        assert t is not None
        assert (t == seed).all()


def test_a_hash_knows_values_types_and_shapes() -> None:
    x = sample(0, 6)
    others = (x.astype(np.float32), x.T, x + 1e-15, x[:5], np.zeros((6, 2)))
    assert content_hash(x) == content_hash(x.copy()) == content_hash(np.asfortranarray(x))
    assert len({content_hash(x), content_hash(x, x), *map(content_hash, others)}) == 2 + len(others)
    assert content_hash(x[:2], x[2:]) != content_hash(x[:3], x[3:])


def test_tests_have_files_of_their_own(candidate: Candidate, tmp_path: Path) -> None:
    both = {"kernel": candidate, "energy": rival("energy")}
    toys = run_scan(SCAN, both, {"kernel": True, "energy": False}, ToyStore(tmp_path, CONFIGURATION), Serial())
    assert {path.name for path in tmp_path.iterdir()} == {"toys.json", "kernel", "energy"}
    assert {of.name: t.shape for of, t in toys.t["kernel"].items()} == {
        "null": (20, 2),
        "bump-0": (12, 2),
        "bump-10": (12, 2),
    }
    assert {of.name: t.shape for of, t in toys.t["energy"].items()} == {"bump-0": (12, 1), "bump-10": (12, 1)}
    assert len(list(chunks(SCAN, both, {"kernel": True, "energy": False}))) == len(list(tmp_path.rglob("*.h5")))
