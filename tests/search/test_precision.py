"""What the defaults leave out of t, float32 features and directions without effect, against all of it in float64.

Shifts of the same 30 toys are compared with the spread of the null: 1 % of it moves a p-value of 0.05 by 2 % of itself.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.search.problems import Floats, mixture
from unseen.search import KernelTest

WIDTHS = (0.15, 0.5, 1.5, 4.0)  # from kernels that single events carry to one that hardly varies
NORMALISATIONS = ["known", "constrained(0.05)", "free"]
SAMPLES = {
    1: lambda rng, n: rng.gamma(2.0, 1.0, n),
    2: mixture,
    3: lambda rng, n: rng.normal(size=(n, 3)),
}


@cache
def toys(
    d: int, statistic: str, normalisation: str, penalty: float, precision: str, rank_tolerance: float, n: int = 200
) -> Floats:
    """Return t (30, widths): the same toys for every precision and tolerance."""
    rng = np.random.default_rng([8, d])
    reference, pool, settings = (SAMPLES[d](rng, size) for size in (10 * n, 3 * n, 150))
    options = {"precision": precision, "rank_tolerance": rank_tolerance}
    test = KernelTest(WIDTHS, 150, penalty, normalisation, 1, statistic, **options)
    return test.fit(reference, expected=n, settings=settings).calibrate(pool, "toys", n_toys=30, seed=1).t


def shifts(
    d: int, tolerance: float, statistic: str = "converged", normalisation: str = "known", penalty: float = 1e-6
) -> Floats:
    """Return the shifts of t (30, widths) by float32 and `tolerance`, in standard deviations of the null."""
    exact = toys(d, statistic, normalisation, penalty, "float64", 0.0)
    return (toys(d, statistic, normalisation, penalty, "mixed", tolerance) - exact) / exact.std(axis=0)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_defaults_move_t_by_less_than_a_hundredth_of_its_spread(d: int, normalisation: str) -> None:
    assert np.abs(shifts(d, 0.01, normalisation=normalisation)).max() < 0.01


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_toy_with_an_event_far_out_loses_no_more_than_twice_the_tolerance_of_its_t(normalisation: str) -> None:
    """A heavy tail and few events: one of them may make up a toy's t, whatever the spread of the null is."""
    exact, default = (
        toys(1, "converged", normalisation, 1e-6, *options, 120) for options in (("float64", 0.0), ("mixed", 0.01))
    )
    assert (np.abs(default - exact) < 0.01 * exact.std(axis=0) + 0.02 * exact).all()


@pytest.mark.parametrize("penalty", [1e-3, 1e-7])
def test_the_defaults_do_so_at_other_penalties(penalty: float) -> None:
    assert np.abs(shifts(3, 0.01, penalty=penalty)).max() < 0.01


@pytest.mark.parametrize(
    ("d", "statistic", "normalisation"),
    [(1, statistic, name) for statistic in ("converged", "one_step", "linear") for name in NORMALISATIONS]
    + [(d, "converged", name) for d in (2, 3) for name in NORMALISATIONS],
)
def test_single_precision_alone_moves_t_by_less_than_a_thousandth(d: int, statistic: str, normalisation: str) -> None:
    assert np.abs(shifts(d, 0.0, statistic, normalisation)).max() < 0.001


def test_single_precision_of_many_events_does_not_add_up() -> None:
    """30,000 events: sums over all of them are where rounding could grow."""
    exact, mixed = (toys(2, "linear", "known", 1e-6, name, 0.0, 3000) for name in ("float64", "mixed"))
    assert (np.abs(mixed - exact).max(axis=0) < 0.001 * exact.std(axis=0)).all()
