"""Random subsets: exact sizes, and every event as likely as any other to be in any part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.search.subsets import SMALL, random_parts, random_subset

SIZES = [
    (500, 100, 300),  # below SMALL
    (500, 0, 500),
    (500, 1, 499),
    (SMALL, 1, 2),  # from here on by bytes; fewer than one event in 256
    (SMALL, 30, SMALL - 100),
    (SMALL, SMALL - 100, 30),
    (SMALL, SMALL // 3, SMALL // 3),
    (SMALL, SMALL // 3, SMALL - SMALL // 3),  # nothing left over
    (SMALL, 0, SMALL),
    (SMALL, SMALL, 0),
    (SMALL, 39, SMALL - 39),  # rounds to no byte at all
    (SMALL, 0, 0),
]


@pytest.mark.parametrize(("n", "first", "second"), SIZES)
def test_parts_have_their_sizes(n: int, first: int, second: int) -> None:
    for seed in range(20):
        code = random_parts(np.random.default_rng(seed), n, first, second)
        assert code.dtype == np.int8
        assert code.shape == (n,)
        assert (np.count_nonzero(code == -1), np.count_nonzero(code == 1)) == (first, second)


def counts(n: int, first: int, second: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each event was in either part."""
    rng = np.random.default_rng([n, first, second])
    in_first, in_second = np.zeros(n), np.zeros(n)
    for _ in range(draws):
        code = random_parts(rng, n, first, second)
        in_first += code == -1
        in_second += code == 1
    return in_first, in_second


@pytest.mark.parametrize(("n", "first", "second"), SIZES)
def test_every_event_is_in_a_part_as_often_as_chance_allows(n: int, first: int, second: int) -> None:
    """Counts of 300 draws are binomial: their most extreme value, by Bonferroni, and their spread over the events."""
    draws = 300
    for size, count in zip((first, second), counts(n, first, second, draws), strict=True):
        p = size / n
        assert count.sum() == draws * size
        if size in (0, n):
            continue
        binomial = stats.binom(draws, p)
        assert binomial.sf(count.max() - 1) * n > 1e-4
        assert binomial.cdf(count.min()) * n > 1e-4
        distance = ((count - draws * p) ** 2).sum() / binomial.var()
        assert abs(distance - n) < 5 * np.sqrt((2 + float(binomial.stats("k"))) * n)


@pytest.mark.parametrize("n", [600, SMALL])
def test_pairs_are_together_as_often_as_in_a_shuffle(n: int) -> None:
    """Neighbours in a subset of half the events: without replacement, P = (size / n) (size - 1) / (n - 1)."""
    rng, size, draws = np.random.default_rng(3), n // 2, 200
    together = 0
    for _ in range(draws):
        chosen = random_subset(rng, n, size) == 1
        together += np.count_nonzero(chosen[::2] & chosen[1::2])
    pairs, p = draws * (n // 2), size * (size - 1) / (n * (n - 1))
    # fixed sizes correlate the pairs negatively: a binomial overstates the spread
    assert abs(together - pairs * p) < 5 * np.sqrt(pairs * p * (1 - p))


@pytest.mark.parametrize("n", [600, SMALL])
def test_halves_of_the_sample_get_hypergeometric_shares(n: int) -> None:
    """Not only the mean: the number of chosen events in the first half varies as in a draw without replacement."""
    rng, size, draws = np.random.default_rng(4), n // 5, 400
    at = np.array([np.count_nonzero(random_subset(rng, n, size)[: n // 2]) for _ in range(draws)])
    law = stats.hypergeom(n, n // 2, size)
    assert abs(at.mean() - law.mean()) < 5 * law.std() / np.sqrt(draws)
    assert at.var(ddof=1) / law.var() == pytest.approx(1.0, abs=5 * np.sqrt(2 / draws))


def test_a_subset_depends_on_the_generator_alone() -> None:
    for n in (500, SMALL):
        a, b, c = (random_subset(np.random.default_rng(seed), n, n // 4) for seed in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
        assert set(np.unique(a)) == {0, 1}
