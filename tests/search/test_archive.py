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


@pytest.mark.parametrize("with_pool", [True, False])
@pytest.mark.parametrize("normalisation", ["known", "constrained(0.05)", "free"])
def test_an_analytic_null_survives_the_file(tmp_path: Path, normalisation: str, with_pool: bool) -> None:
    rng = np.random.default_rng(2)
    test = KernelTest((0.6, 1.5), 20, 1e-2, normalisation, statistic="linear")
    test.fit(mixture(rng, 400), expected=60)
    null = test.calibrate(mixture(rng, 600) if with_pool else None, "asymptotic", n_toys=300)
    data = mixture(rng, 62)
    result = test.search(data)
    test.save(tmp_path / "test.npz")
    loaded = KernelTest.load(tmp_path / "test.npz")
    assert loaded.search(data) == result
    kept = loaded._null
    assert kept is not None
    np.testing.assert_array_equal(kept.t, null.t)
    for name in ("calibration", "mode", "combination", "reference", "n_pool", "n_data", "reason"):
        assert getattr(kept, name) == getattr(null, name)
    groups = ((null.analytic, *null.halves), (kept.analytic, *kept.halves))
    assert [len(group) for group in groups[0]] == [2, 2, 2]
    t = np.linspace(0.0, 80.0, 7)
    for before, after in zip(*groups, strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one.log_p(t), other.log_p(t))
            assert one.variance_excess == other.variance_excess


@pytest.mark.parametrize("missing", ["analytic_weights_0", "analytic_shifts_1", "half_0_weights_1", "null_t"])
def test_a_missing_part_of_an_analytic_null_is_named(tmp_path: Path, missing: str) -> None:
    rng = np.random.default_rng(3)
    test = KernelTest((0.6, 1.5), 20, 1e-2, statistic="linear").fit(mixture(rng, 400), expected=60)
    test.calibrate(None, "asymptotic", n_toys=50)
    test.save(tmp_path / "test.npz")
    arrays, header = archive.read(tmp_path / "test.npz")
    del arrays[missing]
    archive.write(tmp_path / "part.npz", arrays, header)
    with pytest.raises(CorruptFileError, match=missing):
        KernelTest.load(tmp_path / "part.npz")
