"""Where an excess is: the region, the error of f, and f as an object of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.search.problems import Floats, mixture, small_test
from unseen import errors
from unseen.search import KernelTest, Scorer
from unseen.search.where import find_region

BUMP = np.array([2.5, -2.0])


def searched(
    normalisation: str = "known", statistic: str = "converged", n_signal: int = 25
) -> tuple[KernelTest, Floats]:
    rng = np.random.default_rng(1)
    test = small_test(normalisation=normalisation, statistic=statistic).fit(mixture(rng, 900), expected=100)
    test.calibrate(mixture(rng, 900), n_toys=20)
    data = np.vstack([mixture(rng, 100), rng.normal(BUMP, 0.15, (n_signal, 2))])
    test.search(data)
    return test, data


@pytest.mark.parametrize("statistic", ["converged", "linear"])
def test_the_region_of_a_bump_is_the_bump(statistic: str) -> None:
    test, data = searched(statistic=statistic)
    region = test.region()
    assert region.side == "excess"
    assert 22 <= region.observed <= 30
    assert region.expected < 3.0
    assert region.error > 0.0
    assert region.local_z > 5.0
    np.testing.assert_allclose(region.mean, BUMP, atol=0.3)
    assert region.observed == np.count_nonzero(test.score(data) >= region.threshold - 1e-9)
    assert 0.5 < region.share_of_t < 1.5


def test_a_hole_is_a_deficit() -> None:
    rng = np.random.default_rng(2)
    f_reference, weights = rng.normal(-0.1, 0.1, 1000), np.full(1000, 0.1)
    f_reference[:200] = -2.0  # 20 expected events, none observed
    region = find_region(f_reference, weights, rng.normal(-0.1, 0.1, 80), rng.normal(size=(80, 2)))
    assert (region.side, region.observed) == ("deficit", 0)
    assert region.expected == pytest.approx(20.0, abs=1.0)
    assert region.local_z < -5.0
    assert np.isnan(region.mean).all()


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.1)", "free"])
def test_a_scorer_is_f_without_the_test(tmp_path: Path, normalisation: str) -> None:
    test, _ = searched(normalisation)
    x = mixture(np.random.default_rng(3), 200)
    for width in (None, 0, 1):
        np.testing.assert_allclose(test.scorer(width)(x), test.score(x, width), rtol=1e-9, atol=1e-9)
    test.scorer().save(tmp_path / "f.npz")
    np.testing.assert_array_equal(Scorer.load(tmp_path / "f.npz")(x), test.scorer()(x))
    assert [p.name for p in tmp_path.iterdir()] == ["f.npz"]
    assert len(repr(test.scorer())) < 200
    with pytest.raises(errors.ShapeError):
        test.scorer()(np.ones((3, 5)))


def test_broken_scorers_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.MissingFileError):
        Scorer.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(errors.CorruptFileError):
        Scorer.load(tmp_path / "text.npz")


def test_the_error_of_f_is_its_scatter_over_fresh_data() -> None:
    """60 null data sets, each with its own reference; a variance of 60 values is known to 18 %."""
    rng = np.random.default_rng(4)
    settings, at = mixture(rng, 60), np.array([[0.0, 0.0], [2.0, 2.0], [1.0, -1.0]])
    f, error = [], []
    for _ in range(60):
        test = small_test(widths=1.5, penalty=1e-4).fit(mixture(rng, 900), expected=300, settings=settings)
        test.calibrate(mixture(rng, 500), n_toys=10)
        test.search(mixture(rng, rng.poisson(300)))
        f.append(test.score(at))
        error.append(test.score_error(at))
    variance = np.var(f, axis=0, ddof=1) / np.mean(np.square(error), axis=0)
    np.testing.assert_allclose(variance, 1.0, atol=3.5 * np.sqrt(2 / 59))


def test_negative_weights_may_leave_f_without_an_error() -> None:
    rng = np.random.default_rng(5)
    x = np.vstack([mixture(rng, 900), rng.normal([6.0, -6.0], 0.3, (300, 2))])
    w = np.append(np.ones(900), np.full(300, -1.0))
    test = small_test(statistic="linear", penalty=1e-8).fit(
        x, w, 100, settings=np.vstack([mixture(rng, 60), x[900:930] + 0.01])
    )
    test.calibrate(mixture(rng, 900), "linear", n_toys=20)
    test.search(mixture(rng, 100))
    with pytest.raises(errors.NegativeWeightError, match="uncertainty"):
        test.score_error(mixture(rng, 5))
