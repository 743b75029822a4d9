"""N_k from scans whose truth is known: Z of pseudo-data is normal around a N_S, null toys are normal around zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from unseen.power import crossing as module
from unseen.power.crossing import ONE_SIGMA, Crossing, crossing, median_interval, power_interval
from unseen.power.significance import Significance
from unseen.search import Null

SLOPE = 0.05  # of the median Z: N_2 is 40, N_3 is 60
INJECTIONS = (0, 20, 50, 90, 150)
Scan = list[Significance]


def scan(
    seed: int,
    n_toys: int = 100,
    n_null: int | None = None,
    injections: Sequence[int] = INJECTIONS,
    slope: float = SLOPE,
) -> Scan:
    """Return pseudo-data compared with one null, of toys or exact."""
    rng = np.random.default_rng(seed)
    z = [rng.normal(slope * n, 1.0, n_toys) for n in injections]
    if n_null is None:
        return [Significance(stats.norm.sf(values), 1e-300, None) for values in z]
    null = np.sort(rng.normal(size=n_null))
    above = [n_null - np.searchsorted(null, values) for values in z]
    return [Significance((k + 1) / (n_null + 1), 1 / (n_null + 1), n_null) for k in above]


def width(found: Crossing) -> float:
    low, high = found.interval
    assert low is not None
    assert high is not None
    return high - low


def covered(n_scans: int, level: float, n_null: int | None) -> int:
    """Return how many scans have the truth in their interval."""
    count = 0
    for seed in range(n_scans):
        low, high = crossing(INJECTIONS, scan(seed, n_null=n_null), level, seed).interval
        count += low is not None and high is not None and low <= level / SLOPE <= high
    return count


def check_coverage(n_scans: int, level: float, n_null: int | None) -> None:
    """The interval's nominal rate, within what binomial fluctuations allow once in a thousand times."""
    count = covered(n_scans, level, n_null)
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], n_scans, ONE_SIGMA)
    assert low <= count <= high


@pytest.mark.parametrize(("level", "n_null"), [(2.0, None), (2.0, 1500)])
def test_the_truth_is_in_the_interval_as_often_as_it_should_be(
    level: float, n_null: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BOOTSTRAPS", 60)
    check_coverage(50, level, n_null)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "n_null"), [(2.0, None), (3.0, None), (2.0, 2000), (3.0, 10_000)])
def test_coverage_of_many_scans(level: float, n_null: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOOTSTRAPS", 100)
    check_coverage(200, level, n_null)


def test_a_dense_study_finds_the_truth() -> None:
    for level in (2.0, 3.0, 5.0):
        found = crossing(INJECTIONS, scan(1, n_toys=5000), level)
        assert found.n is not None
        # The median of n normal values has a standard deviation of 1.2533 / sqrt(n).
        assert abs(found.n - level / SLOPE) < 4 * 1.2533 / np.sqrt(5000) / SLOPE
        assert found.why == ""
    repeated = crossing(INJECTIONS, scan(1), 2.0, seed=5)
    assert repeated == crossing(INJECTIONS, scan(1), 2.0, seed=5)


def test_a_level_beyond_the_null_is_unknown() -> None:
    found = crossing(INJECTIONS, scan(2, n_null=1000), 3.0)
    assert found == Crossing(3.0, None, (None, None), "1000 null toys do not resolve Z = 3")


def test_a_scan_that_does_not_reach_the_level_is_too_short_or_too_long() -> None:
    short = crossing((0, 20, 30), scan(3, injections=(0, 20, 30)), 2.0)
    assert (short.n, short.interval) == (None, (None, None))
    assert short.why == "more than 30 signal events; widen the scan"
    late = crossing((90, 150), scan(3, injections=(90, 150)), 2.0)
    assert (late.n, late.interval) == (None, (None, None))
    assert late.why == "fewer than 90 signal events; widen the scan"


def test_an_interval_that_leaves_the_scan_is_open() -> None:
    """The last point is barely above the level: half of the bootstrap samples are below it."""
    found = crossing((0, 41), scan(8, n_toys=40, injections=(0, 41)), 2.0)
    assert found.n is not None
    assert found.interval == (None, None)
    assert "the interval leaves the scan; widen it or add toys" in found.why


def test_where_the_null_ends_the_power_says_where_the_crossing_is() -> None:
    """Half of the upper point's data are beyond all null toys: its median Z is only a bound, its power is not."""
    injections = (0, 20, 48, 90)
    found = scan(5, n_toys=2000, n_null=700, injections=injections, slope=0.0625)
    assert np.median(found[2].z) == found[2].largest_z < 0.0625 * 48
    found_2 = crossing(injections, found, 2.0)
    assert found_2.n is not None
    assert found_2.interval[0] is not None
    # 9 null toys beyond Z = 2: a third of them is 0.14 in Z.
    assert abs(found_2.n - 32) < 2 * 0.14 / 0.0625
    assert found_2.interval[0] < found_2.n < (found_2.interval[1] or 0.0)


def test_a_coarse_scan_whose_upper_point_is_beyond_everything_has_no_interval() -> None:
    injections = (0, 400)
    found = crossing(injections, scan(6, n_null=1000, injections=injections), 2.0)
    assert found.n is not None
    assert 0 < found.n < 400
    assert found.interval == (None, None)
    assert found.why.endswith("are beyond the null; add numbers between 0 and 400 to the scan")


def test_more_toys_and_more_null_toys_shrink_the_interval() -> None:
    widths = {
        n_null: np.median([width(crossing(INJECTIONS, scan(seed, 400, n_null), 2.0)) for seed in range(2)])
        for n_null in (700, 10_000)
    }
    # Relative error of the 9 and 228 toys beyond Z = 2, and the median's own: in quadrature 0.15 and 0.07 of Z.
    assert widths[10_000] < 0.85 * widths[700]
    few, many = (width(crossing(INJECTIONS, scan(1, n), 2.0)) for n in (50, 800))
    assert few / many == pytest.approx(4.0, rel=0.5)


def test_a_fluctuation_downwards_is_no_second_crossing() -> None:
    z = [np.full(10, value) for value in (0.0, 2.1, 1.9, 4.0)]
    z[2][:6] = 2.2
    found = crossing((0, 10, 20, 30), [Significance(stats.norm.sf(values), 1e-300, None) for values in z], 2.0)
    assert found.n is not None
    assert 0 < found.n < 30


@pytest.mark.parametrize("k", [0, 1, 10, 39, 40])
def test_the_interval_of_a_share_is_clopper_and_pearsons(k: int) -> None:
    expected = stats.binomtest(k, 40).proportion_ci(ONE_SIGMA, method="exact")
    assert power_interval(k / 40, 40) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [11, 100, 301])
def test_the_interval_of_the_median_is_that_of_scipy(n: int) -> None:
    z = np.random.default_rng(n).normal(size=n)
    low, high = median_interval(z)
    expected = stats.quantile_test(z, q=0, p=0.5).confidence_interval(ONE_SIGMA)
    ordered = np.sort(z)
    ours, theirs = np.searchsorted(ordered, (low, high)), np.searchsorted(ordered, (expected.low, expected.high))
    assert np.abs(ours - theirs).max() <= 1  # rounding of a discrete probability, to either side
    inside = stats.binom.cdf(ours[1], n, 0.5) - stats.binom.cdf(ours[0], n, 0.5)
    assert ONE_SIGMA - 0.001 < inside < ONE_SIGMA + 2 * stats.binom.pmf(n // 2, n, 0.5)


def test_ranks_and_the_scan_agree_on_real_nulls() -> None:
    """The scan's shortcut above gives the p-values that a null of these toys gives."""
    rng = np.random.default_rng(9)
    t, null = rng.chisquare(5, 50), rng.chisquare(5, 199)
    above = 199 - np.searchsorted(np.sort(null), t)
    expected = [Null(null[:, None], "converged").p_value(np.array([value])).p for value in t]
    np.testing.assert_allclose((above + 1) / 200, expected)
