"""A closure with the search's own test, of samples as a density ratio is learned from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.study.covariance.gaussian import delta, nominal, wrong_delta
from tests.systematics.ratio.build import shifted_gaussian
from unseen.errors import ConfigError, OverlapError, ShapeError
from unseen.search import KernelTest
from unseen.study.covariance import ClosureFrame, closure, framed, matched, moved, sample_closure
from unseen.study.covariance.moved import Delta
from unseen.systematics import Block, RatioSamples

NAMES = ("shift", "rate")
N_DATA = 500.0


def frame(function: Delta = delta, seed: int = 1) -> ClosureFrame:
    test = KernelTest(widths=[0.5, 2.0], n_centers=30, penalty=1e-5, statistic="linear", seed=seed)
    return framed(test, nominal(8000, seed), function, N_DATA, nominal(500, 99), n_reference=5000)


def samples(seed: int) -> RatioSamples:
    """Events of which those above 1.5 are not selected at nu = 0, and those below -1.5 not at nu."""
    z, rows = nominal(6000, seed), np.arange(6000)
    low, high = z[:, 0] < 1.5, z[:, 0] > -1.5
    blocks = [Block(np.array(nu), z[high] + 0.1 * nu[0], event=rows[high]) for nu in ((2.0, 0.0), (0.0, 1.0))]
    return RatioSamples.of(z[low], blocks, NAMES, event=rows[low])


def test_rows_are_the_same_events_wherever_they_are_selected() -> None:
    zero, (first, second) = matched(samples(7))
    assert len(zero.z) == len(first.z) == len(second.z) == 6000
    both = (zero.weights > 0) & (first.weights > 0)
    np.testing.assert_allclose(first.z[both], zero.z[both] + 0.2)
    assert (zero.z[zero.weights == 0] == 0).all()
    np.testing.assert_array_equal(first.nominal, zero.weights)
    np.testing.assert_array_equal(second.z[both], zero.z[both])
    assert first.nu.tolist() == [2.0, 0.0]


def test_the_closure_is_that_of_the_same_events_at_every_width() -> None:
    """One record of both widths' worst, equal to that of the events themselves; a wrong ratio is seen."""
    x = nominal(20_000, 5)
    grid = ((2.0, 0.0), (0.0, -2.0))
    blocks = [
        Block(np.array(nu), x + 0.1 * nu[0], np.full(len(x), np.exp(0.05 * nu[1])), np.arange(len(x))) for nu in grid
    ]
    given = RatioSamples.of(x, blocks, NAMES, event=np.arange(len(x)))
    found = sample_closure(frame(), given, limit=0.25)
    assert (found.method, found.n_data, found.limit, found.nu) == ("kernel-test", N_DATA, 0.25, grid)
    for i, (nu, block) in enumerate(zip(grid, blocks, strict=True)):
        there = moved(nu, np.asarray(block.z), np.asarray(block.weights), np.ones(len(x)))
        point = closure(frame(), there, at_zero=moved([0.0, 0.0], x))
        assert (found.shift[i], found.error[i]) == point.weighted.worst
        assert len(point.weighted.values) == 2
    assert found.passed
    wrong = sample_closure(frame(wrong_delta), given)
    assert wrong.shift[0] > 3 * wrong.error[0] + max(found.shift)


def test_samples_that_cannot_be_matched_or_judged_are_refused() -> None:
    unknown = shifted_gaussian(500, grid=(1.0,))
    unmatched = RatioSamples.of(unknown.z, [Block([1.0], unknown.blocks[0].z)], ["shift"])
    with pytest.raises(ShapeError, match="which rows are the same event"):
        matched(unmatched)
    z, nu, rows = nominal(500, 3), np.ones((500, 2)), np.arange(500)
    each = RatioSamples.of(z, [Block(nu, z, event=rows, nominal_nu=nu)], NAMES, event=rows)
    with pytest.raises(ShapeError, match="one nu for each block"):
        matched(each)
    own = RatioSamples.of(nominal(8000, 1), [Block(np.zeros(2), nominal(8000, 1), event=np.arange(8000))], NAMES)
    with pytest.raises(ShapeError, match="same event"):
        sample_closure(frame(), own)
    same = RatioSamples.of(
        nominal(8000, 1), [Block(np.zeros(2), nominal(8000, 1), event=np.arange(8000))], NAMES, event=np.arange(8000)
    )
    with pytest.raises(OverlapError):
        sample_closure(frame(), same)


@pytest.mark.parametrize(("statistic", "normalisation"), [("converged", "known"), ("linear", "free")])
def test_another_test_has_no_closure(statistic: str, normalisation: str) -> None:
    test = KernelTest(widths=1.0, n_centers=20, statistic=statistic, normalisation=normalisation)
    with pytest.raises(ConfigError, match="linear"):
        framed(test, nominal(1000, 1), delta, N_DATA, nominal(100, 2))
