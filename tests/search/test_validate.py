"""Checks of inputs: events, counts, and samples that must not share events."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.problems import Floats, mixture
from unseen.errors import ConfigError, NonFiniteError, OverlapError, ShapeError
from unseen.search.validate import as_events, check_count, check_disjoint, repeats, row_keys


def disjoint(a: Floats, b: Floats) -> None:
    check_disjoint("a", row_keys(a), "b", row_keys(b))


def test_masked_values_are_missing_not_whatever_lies_under_the_mask() -> None:
    x = np.ma.masked_greater(np.arange(12).reshape(6, 2), 10)
    with pytest.raises(NonFiniteError, match="event 5, feature 1"):
        as_events("data", x)
    assert as_events("data", np.ma.asarray(np.ones((3, 2)))).shape == (3, 2)


def test_events_are_copied_and_flat_events_need_the_right_width() -> None:
    x = np.ones((3, 2))
    as_events("data", x)[:] = 7.0
    assert (x == 1.0).all()
    assert as_events("data", [1, 2, 3]).shape == (3, 1)
    with pytest.raises(ShapeError, match="1 features"):
        as_events("data", np.ones(2), n_features=2)


@pytest.mark.parametrize("value", [True, 2.5, "many", None, np.nan, np.inf, 0, -1])
def test_what_is_no_count_is_named(value: object) -> None:
    with pytest.raises(ConfigError, match="n is"):
        check_count("n", value, 1)


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3)])
def test_counts_of_any_type_become_int(value: object) -> None:
    assert type(check_count("n", value, 1)) is int


def test_keys_follow_values_not_memory() -> None:
    x = mixture(np.random.default_rng(0), 50, 3)
    np.testing.assert_array_equal(row_keys(np.asfortranarray(x)), row_keys(x))
    np.testing.assert_array_equal(row_keys(x[::-1]), row_keys(x)[:, ::-1])
    np.testing.assert_array_equal(row_keys(np.array([[-0.0]])), row_keys(np.array([[0.0]])))
    assert repeats(row_keys(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))[0]) == 2


@pytest.mark.parametrize("n", [1, 20])
def test_shared_events_are_found_anywhere(n: int) -> None:
    rng = np.random.default_rng(1)
    a, b = mixture(rng, 500), mixture(rng, 300)
    disjoint(a, b)
    b[100 : 100 + n] = a[-n:]
    with pytest.raises(OverlapError, match=f"{n} of 500 events of a"):
        disjoint(a, b)


def test_events_that_lost_their_double_precision_are_found_again() -> None:
    rng = np.random.default_rng(2)
    a = mixture(rng, 500)
    with pytest.raises(OverlapError, match="500 of 500"):
        disjoint(a, a.astype(np.float32).astype(np.float64))
    disjoint(a * 1e300, mixture(rng, 500) * 1e300)  # beyond float32: all infinite there, and no overlap


@pytest.mark.parametrize("digits", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(80, 20_000), (20_000, 80), (2000, 2000)])
def test_coarse_samples_may_share_what_chance_explains_and_no_more(digits: int, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        a, b = (np.round(rng.normal(size=(n, 1)), digits) for n in sizes)
        disjoint(a, b)


def test_copies_are_found_among_few_chance_matches() -> None:
    rng = np.random.default_rng(4)
    a, b, copied = (np.round(rng.normal(size=(n, 1)), 5) for n in (2000, 2000, 100))
    with pytest.raises(OverlapError):
        disjoint(np.vstack([a, copied]), np.vstack([b, copied]))
