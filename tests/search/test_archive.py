"""Saved tests: complete, of this version, and named when they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.search.problems import mixture, small_test
from unseen.errors import ConfigError, CorruptFileError
from unseen.search import KernelTest, archive


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    test = small_test(widths=1.0, n_centers=10, normalisation="free", penalty=1e-3).fit(mixture(rng, 200), expected=40)
    test.calibrate(mixture(rng, 300), n_toys=10, n_data=42)
    test.search(mixture(rng, 42))
    path = tmp_path_factory.mktemp("saved") / "test.npz"
    test.save(path)
    return path


def test_a_loaded_test_keeps_its_guards(saved: Path) -> None:
    test = KernelTest.load(saved)
    rng = np.random.default_rng(1)
    with pytest.raises(ConfigError, match="n_data=43"):
        test.search(mixture(rng, 43))
    assert test.search(mixture(rng, 42)).n_toys == 10
    assert test.options["widths"] == (1.0,)


@pytest.mark.parametrize("missing", ["z", "keys", "settings_keys", "projection_0", "null_t", "last_b_0", "centers"])
def test_a_missing_array_is_named(saved: Path, tmp_path: Path, missing: str) -> None:
    arrays, header = archive.read(saved)
    del arrays[missing]
    archive.write(tmp_path / "part.npz", arrays, header)
    with pytest.raises(CorruptFileError, match=missing):
        KernelTest.load(tmp_path / "part.npz")


@pytest.mark.parametrize("change", [{"version": 1}, {"options": {"colour": "red"}}, {"null": {"n_tries": 3}}])
def test_a_header_of_another_kind_is_named(saved: Path, tmp_path: Path, change: dict[str, object]) -> None:
    arrays, header = archive.read(saved)
    archive.write(tmp_path / "other.npz", arrays, header | change)
    with pytest.raises(CorruptFileError):
        KernelTest.load(tmp_path / "other.npz")


def test_a_truncated_file_is_named(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    for size in (len(content) // 2, len(content) - 30):
        (tmp_path / "short.npz").write_bytes(content[:size])
        with pytest.raises(CorruptFileError):
            KernelTest.load(tmp_path / "short.npz")
