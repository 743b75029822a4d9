"""Inputs at the edge: the answer is right or the fault is named, and nothing in between."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import Floats, dense_converged, mixture, small_test
from unseen import errors
from unseen.search import KernelTest, SearchResult
from unseen.search.features import gaussian_kernel
from unseen.search.scale import choose_widths, parse_widths
from unseen.search.validate import row_keys


def searched(test: KernelTest, reference: Floats, pool: Floats, data: Floats, expected: float) -> SearchResult:
    test.fit(reference, expected=expected).calibrate(pool, n_toys=19)
    return test.search(data)


def test_features_far_from_zero_give_the_statistic_of_those_near_it() -> None:
    rng = np.random.default_rng(0)
    reference, data, settings = mixture(rng, 600), mixture(rng, 90), mixture(rng, 60)
    near = small_test().fit(reference, expected=80, settings=settings).statistic(data).t
    for standardise, offset in ((True, 1e8), (False, 2.0**27)):
        test = small_test(standardise=standardise)
        if not standardise:
            near = test.fit(reference, expected=80, settings=settings).statistic(data).t
        far = test.fit(reference + offset, expected=80, settings=settings + offset).statistic(data + offset).t
        np.testing.assert_allclose(far, near, rtol=1e-4)


def test_units_of_a_feature_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    reference, data, settings = mixture(rng, 600), mixture(rng, 90), mixture(rng, 60)
    gev, mev = (
        small_test().fit(reference * u, expected=80, settings=settings * u).statistic(data * u).t
        for u in (1.0, np.array([1e3, 1e-6]))
    )
    np.testing.assert_allclose(mev, gev, rtol=1e-7)


def test_kernel_of_close_events_far_from_zero_is_exact() -> None:
    x = torch.tensor([[1e8, -1e8], [1e8 + 1.0, -1e8]], dtype=torch.float64)
    assert float(gaussian_kernel(x, x, 1.0)[0, 1]) == pytest.approx(np.exp(-0.5), rel=1e-12)


def test_a_constant_feature_changes_nothing_and_is_reported() -> None:
    rng = np.random.default_rng(2)
    samples = [mixture(rng, n) for n in (600, 400, 80)]
    plain = searched(small_test(), *samples, 80.0)
    padded = searched(small_test(), *[np.column_stack([x, np.full(len(x), 0.1)]) for x in samples], 80.0)
    np.testing.assert_allclose(padded.t, plain.t, rtol=1e-6)
    assert padded.p_value == plain.p_value
    assert padded.checks["constant_features"] == 1


def test_repeated_events_do_not_shrink_automatic_widths() -> None:
    rng = np.random.default_rng(3)
    z = mixture(rng, 100, 57)
    repeated = choose_widths("auto", np.repeat(z, 5, axis=0), rng)
    assert repeated[0] > 0.5 * choose_widths("auto", z, rng)[0]


def test_copied_events_are_reported() -> None:
    rng = np.random.default_rng(4)
    reference = np.vstack([x := mixture(rng, 300), x, mixture(rng, 400)])
    settings, pool = mixture(rng, 60), mixture(rng, 400)
    test = small_test().fit(reference, expected=80, settings=settings)
    test.calibrate(pool, n_toys=19)
    checks = test.search(mixture(rng, 80)).checks
    assert checks["repeated_reference"] == pytest.approx(0.6)
    assert checks["repeated_pool"] == 0.0


def test_float32_input_is_its_own_double() -> None:
    rng = np.random.default_rng(5)
    samples = [mixture(rng, n).astype(np.float32) for n in (600, 400, 80)]
    single = searched(small_test(), *samples, 80.0)
    assert searched(small_test(), *[x.astype(np.float64) for x in samples], 80.0) == single


@pytest.mark.parametrize("widths", [1, 1.0, np.int64(1), np.float32(1), np.array(1.0), [1], (1.0,), np.array([1])])
def test_one_width_may_be_given_in_any_form(widths: object) -> None:
    assert parse_widths(widths) == (1.0,)


@pytest.mark.parametrize("widths", [None, [None], ["a"], np.inf, 0, [[1.0, 2.0]], "Auto"])
def test_what_is_no_width_is_named_at_once(widths: object) -> None:
    with pytest.raises(errors.ConfigError, match="widths"):
        KernelTest(widths=widths)


@pytest.mark.parametrize(
    ("n_reference", "n_pool", "n_data", "expected", "d", "options"),
    [
        (12, 200, 3, 2.0, 2, {}),  # ten reference events
        (300, 100, 1, 0.5, 2, {}),  # less than one event expected
        (60, 1000, 250, 240.0, 2, {}),  # more data than reference events
        (400, 400, 80, 80.0, 57, {"widths": (8.0,)}),
        (400, 400, 80, 80.0, 1, {"n_centers": 1, "standardise": False}),
        (400, 400, 80, 80.0, 2, {"penalty": 10.0}),
        (400, 400, 80, 80.0, 2, {"widths": (1e3,)}),  # nearly constant kernels
    ],
)
@pytest.mark.parametrize("normalisation", ["known", "constrained(0.1)", "free"])
def test_null_data_of_extreme_sizes_stay_unremarkable(
    n_reference: int, n_pool: int, n_data: int, expected: float, d: int, options: dict[str, object], normalisation: str
) -> None:
    """Three null data sets, each with its own reference: all at p <= 0.1 would have a probability of 0.001."""
    rng = np.random.default_rng(6)
    results = []
    for _ in range(3):
        test = small_test(**({"n_centers": 10, "normalisation": normalisation} | options))
        samples = (mixture(rng, n, d) for n in (n_reference, n_pool, n_data))
        results.append(searched(test, *samples, expected))
    assert max(r.p_value for r in results) > 0.1
    assert all(SearchResult.from_json(r.to_json()) == r for r in results)


def test_a_penalty_that_leaves_next_to_nothing_is_obeyed() -> None:
    rng = np.random.default_rng(7)
    test = small_test(penalty=1e5, widths=0.1).fit(mixture(rng, 400), expected=80)
    data = mixture(rng, 80)
    t = test.statistic(data).t[0]
    assert 0.0 < t < 1e-5
    assert t == pytest.approx(dense_converged(test, data, 0), rel=1e-3)
    test.calibrate(mixture(rng, 400), n_toys=19)
    assert 0.05 <= test.search(data).p_value <= 1.0


@pytest.mark.parametrize("options", [{}, {"rank_tolerance": 0.01, "precision": "mixed"}])
@pytest.mark.parametrize("normalisation", ["known", "free"])
def test_kernels_that_see_no_event_are_named(options: dict[str, object], normalisation: str) -> None:
    rng = np.random.default_rng(12)
    test = small_test(widths=0.1, standardise=False, normalisation=normalisation, **options)
    test.fit(mixture(rng, 400), expected=80, settings=mixture(rng, 60) + 50.0)
    assert test.statistic(mixture(rng, 80)).t == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(errors.ConfigError, match="vary"):
        test.calibrate(mixture(rng, 400), n_toys=19)


def test_toys_of_one_yield_are_not_compared_with_data_of_another() -> None:
    rng = np.random.default_rng(8)
    for normalisation in ("known", "free"):
        test = small_test(normalisation=normalisation).fit(mixture(rng, 400), expected=80)
        null = test.calibrate(mixture(rng, 800), n_toys=19, n_data=90)
        assert null.n_data == 90
        assert test.search(mixture(rng, 90)).p_value > 0.0
        with pytest.raises(errors.ConfigError, match="n_data=91"):
            test.search(mixture(rng, 91))


def test_free_normalisation_far_from_the_expected_yield_asks_for_toys_of_that_yield() -> None:
    rng = np.random.default_rng(9)
    test = small_test(normalisation="free").fit(mixture(rng, 400), expected=80)
    test.calibrate(mixture(rng, 800), n_toys=19)
    data = mixture(rng, 160)
    assert test.search(data[:104]).p_value > 0.0  # within 30 %
    with pytest.raises(errors.ConfigError, match="n_data=160"):
        test.search(data)
    test.calibrate(mixture(rng, 800), n_toys=19, n_data=160)
    assert test.search(data).p_value > 0.05
    known = small_test().fit(mixture(rng, 400), expected=80)
    known.calibrate(mixture(rng, 800), n_toys=19)
    assert known.search(data).at_resolution  # there the yield is an anomaly


def test_events_behind_the_settings_are_neither_data_nor_toys() -> None:
    rng = np.random.default_rng(10)
    reference, pool, settings = mixture(rng, 400), mixture(rng, 400), mixture(rng, 60)
    test = small_test().fit(reference, expected=80, settings=settings)
    with pytest.raises(errors.OverlapError, match="60 of 460 events of pool are also in the settings"):
        test.calibrate(np.vstack([pool, settings]))
    test.calibrate(pool, n_toys=19)
    with pytest.raises(errors.OverlapError, match="the settings"):
        test.search(np.vstack([mixture(rng, 79), settings[:1]]))
    apart = small_test().fit(reference, expected=80)  # set apart from the reference: still part of that simulation
    hidden = apart._need_fit().settings_keys
    for row, key in zip(reference, row_keys(reference).T, strict=True):
        if key in hidden.T[:1]:
            with pytest.raises(errors.OverlapError, match="1 of 401"):
                apart.calibrate(np.vstack([pool, row]))


def test_coarse_data_may_match_the_pool_by_chance() -> None:
    rng = np.random.default_rng(11)
    reference, pool = (np.round(rng.normal(size=(n, 1)), 3) for n in (2000, 4000))
    test = KernelTest(widths=1.0, n_centers=20, penalty=1e-4).fit(reference, expected=30)
    test.calibrate(pool, n_toys=19)
    data = np.arange(-15, 15)[:, None] / 20.0  # no repeats of its own, and nearly all of it in the pool
    assert test.search(data).n_data == 30
