"""Several embeddings of the same events side by side: each is what it would be alone, one p-value for all."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.problems import Floats, mixture, small_test
from unseen import errors
from unseen.search import KernelTest


def side_by_side(rng: np.random.Generator, n: int) -> Floats:
    """Return events in two embeddings: two columns, and one that is a function of them with some noise."""
    x = mixture(rng, n)
    return np.column_stack([x, np.abs(x).sum(1) + rng.normal(0.0, 0.1, n)])


@pytest.mark.parametrize("statistic", ["converged", "linear"])
@pytest.mark.parametrize(
    ("options", "rtol"),
    [
        ({"widths": (0.03, 0.1)}, 1e-7),
        ({"widths": "auto"}, 1e-3),  # wide kernels of one column: directions near rounding
        ({"widths": "auto", "precision": "mixed", "rank_tolerance": 0.01}, 1e-3),
    ],
)
def test_each_embedding_has_the_t_of_a_test_of_its_own(statistic: str, options: dict[str, object], rtol: float) -> None:
    rng = np.random.default_rng(1)
    reference, settings, data = (side_by_side(rng, n) for n in (600, 30, 80))
    common = {"statistic": statistic} | options
    both = small_test(embeddings=(2, 1), **common).fit(reference, expected=80, settings=settings)
    found = both.statistic(data)
    alone = []
    for columns in (slice(0, 2), slice(2, 3)):
        test = small_test(**common).fit(reference[:, columns], expected=80, settings=settings[:, columns])
        alone.append(test.statistic(data[:, columns]))
    np.testing.assert_allclose(found.t, np.concatenate([s.t for s in alone]), rtol=rtol)
    np.testing.assert_allclose(found.widths, np.concatenate([s.widths for s in alone]), rtol=1e-12)
    np.testing.assert_allclose(found.f, np.concatenate([s.f for s in alone]), rtol=rtol, atol=10 * rtol)


def test_one_embedding_of_all_columns_is_no_embedding() -> None:
    rng = np.random.default_rng(2)
    reference, settings, data = (side_by_side(rng, n) for n in (600, 30, 80))
    t = [
        small_test(embeddings=e).fit(reference, expected=80, settings=settings).statistic(data).t for e in (None, (3,))
    ]
    np.testing.assert_array_equal(t[0], t[1])


def searchable(**options: object) -> KernelTest:
    rng = np.random.default_rng(3)
    test = small_test(embeddings=(2, 1), widths=(0.4, 1.0), **options)
    test.fit(side_by_side(rng, 800), expected=80)
    test.calibrate(side_by_side(rng, 800), n_toys=99)
    return test


@pytest.mark.parametrize("statistic", ["converged", "linear"])
def test_a_signal_that_one_embedding_sees_is_found_and_scored(statistic: str) -> None:
    rng = np.random.default_rng(4)
    test = searchable(statistic=statistic)
    data = side_by_side(rng, 80)
    assert test.search(data).p_value > 0.01
    data[:25, 2] = rng.normal(9.0, 0.05, 25)  # ordinary in the first two columns, far out in the last
    result = test.search(data)
    assert result.p_value <= 0.01
    assert len(result.t) == len(result.widths) == len(result.p_per_width) == 4
    assert result.best_width in (2, 3)
    at_signal, elsewhere = test.score(np.array([[0.0, 0.0, 9.0], [0.0, 0.0, 0.5]]))
    assert at_signal > elsewhere


def test_saved_tests_keep_their_columns(tmp_path: object) -> None:
    test, data = searchable(), side_by_side(np.random.default_rng(5), 80)
    result = test.search(data)
    test.save(f"{tmp_path}/test.npz")
    loaded = KernelTest.load(f"{tmp_path}/test.npz")
    assert loaded.search(data) == result
    assert loaded.options["embeddings"] == (2, 1)


def test_dimensions_that_do_not_add_up_are_named() -> None:
    with pytest.raises(errors.ShapeError, match="need 4 features, the reference has 3"):
        small_test(embeddings=(2, 2)).fit(side_by_side(np.random.default_rng(6), 100), expected=10)
