"""The mean of the profiled statistic does not grow with the true nu, where that of tau - Delta does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unseen.search import KernelTest
from unseen.search.profile_growth import LARGEST, growth_factor
from unseen.search.validate import Floats

TOYS = 500
YIELD, SCALE = 1, 0  # the order of the parameters


def delta(x: Floats) -> tuple[Floats, Floats]:
    """The mean of N(0, 1) moves by 0.2 nu."""
    return 0.2 * x, np.full((len(x), 1, 1), -0.02)


def fitted(penalty: float = 1e-3, normalisation: str = "constrained(0.2)", n: int = 8000) -> KernelTest:
    rng = np.random.default_rng(5)
    reference, settings = rng.normal(size=(n, 1)), rng.normal(size=(60, 1))
    test = KernelTest(widths=0.5, n_centers=40, penalty=penalty, normalisation=normalisation, seed=1)
    return test.fit(reference, expected=200, ratio=delta, settings=settings)


def growth_of(test: KernelTest) -> Floats:
    assert test._fitted is not None
    growth = test._fitted.growth(0)
    assert growth is not None
    found: Floats = growth.numpy()
    return found


def test_the_mean_at_any_nu_is_that_at_zero() -> None:
    """A yield known to 20 %, at two standard deviations: raw means 2.9, 3.5 and 4.1, corrected ones equal.

    500 toys each know a mean to 0.1: bounds are four standard errors of the differences.
    """
    test, pool = fitted(), np.random.default_rng(6).normal(size=(8000, 1))
    growth = growth_of(test)
    t = {nu: test.calibrate(pool, n_toys=TOYS, seed=3, nu=(0.0, nu)).t[:, 0] for nu in (-2.0, 0.0, 2.0)}
    error = {nu: values.std() / np.sqrt(TOYS) for nu, values in t.items()}
    for nu in (-2.0, 2.0):
        assert abs(t[nu].mean() - t[0.0].mean()) < 4.0 * np.hypot(error[nu], error[0.0])
    # nu is fitted with an error of 0.33: what is undone is its mean. Without, the difference would be seen.
    factor = np.exp(2.0 * growth[YIELD])
    raw = t[2.0].mean() * factor - t[-2.0].mean() / factor
    assert raw > 6.0 * np.hypot(error[2.0] * factor, error[-2.0] / factor)


def test_what_grows_is_what_the_penalty_leaves() -> None:
    """Less penalty, less growth; a shift that leaves the yield changes little; a free yield is one more parameter."""
    heavy, light = growth_of(fitted(1e-2)), growth_of(fitted(1e-6))
    assert heavy[YIELD] > 0.1 > 0.03 > light[YIELD] > 0.0
    assert abs(heavy[SCALE]) < 0.02
    free = growth_of(fitted(1e-2, "free"))
    assert free[YIELD] == pytest.approx(heavy[YIELD] / 0.2, rel=0.3)  # nu of a free yield is its logarithm
    assert fitted(1e-2, "known")._fitted is not None
    assert len(growth_of(fitted(1e-2, "known"))) == 1


def test_a_search_without_nuisances_has_none() -> None:
    x = np.random.default_rng(1).normal(size=(500, 1))
    test = KernelTest(widths=1.0, n_centers=20).fit(x, expected=50)
    assert test._fitted is not None
    assert test._fitted.growth(0) is None


def test_the_correction_is_bounded() -> None:
    nu = torch.tensor([[0.0], [2.0], [1e6], [-1e6]], dtype=torch.float64)
    found = growth_factor(nu, torch.tensor([0.1], dtype=torch.float64))
    np.testing.assert_allclose(found, np.exp([0.0, -0.2, -LARGEST, LARGEST]))


def test_a_saved_test_keeps_it_and_one_of_before_has_none(tmp_path: Path) -> None:
    test, rng = fitted(n=1500), np.random.default_rng(8)
    test.calibrate(rng.normal(size=(2500, 1)), n_toys=20, seed=1)
    test.save(tmp_path / "t.npz")
    data = rng.normal(size=(210, 1))
    again = KernelTest.load(tmp_path / "t.npz")
    np.testing.assert_array_equal(growth_of(again), growth_of(test))
    now = test.statistic(data)
    with np.load(tmp_path / "t.npz") as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes().decode())
    del header["growth"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(tmp_path / "before.npz", **arrays)
    before = KernelTest.load(tmp_path / "before.npz").statistic(data, ratio=delta)
    assert before.profile is not None
    assert before.profile.factor == (1.0,)
    assert now.profile is not None
    assert now.profile.factor[0] != 1.0
    np.testing.assert_allclose(before.t * now.profile.factor, now.t, rtol=1e-6)
