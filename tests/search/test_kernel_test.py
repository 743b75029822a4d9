"""The public interface: results, reproducibility, files and named errors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.search.problems import Floats, mixture, small_test
from unseen import errors
from unseen.search import KernelTest, SearchResult, compute, refit
from unseen.search.compute import PRECISIONS
from unseen.search.statistic import Fit, fit_batch

N = 80.0


def sample(seed: int, n: int) -> Floats:
    return mixture(np.random.default_rng(seed), n)


def with_signal(seed: int, n_signal: int = 25) -> Floats:
    rng = np.random.default_rng(seed)
    return np.vstack([mixture(rng, int(N)), rng.normal([2.5, -2.0], 0.15, (n_signal, 2))])


@pytest.fixture(scope="module")
def ready() -> KernelTest:
    test = small_test().fit(sample(0, 800), expected=N)
    test.calibrate(sample(1, 1600), n_toys=99)
    return test


def test_an_injected_bump_is_found_and_located(ready: KernelTest) -> None:
    result = ready.search(with_signal(2))
    assert result.at_resolution
    assert result.p_value == result.p_resolution == pytest.approx(0.01)
    assert result.z_interval[1] is None
    assert min(result.p_per_width) < 1e-3
    at_signal, elsewhere = ready.score(np.array([[2.5, -2.0], [0.0, 0.0]]))
    assert at_signal > 1.0 > elsewhere
    assert ready.score(np.array([[2.5, -2.0]]), width=0).shape == (1,)


def test_null_data_are_not_called_a_discovery(ready: KernelTest) -> None:
    p = [ready.search(sample(seed, int(N))).p_value for seed in range(10, 30)]
    assert np.mean(p) > 0.25  # 20 uniform values: mean 0.5, standard deviation 0.065
    assert min(p) > 0.0


def test_result_says_what_was_done(ready: KernelTest) -> None:
    result = ready.search(sample(3, 85))
    assert (result.statistic, result.normalisation, result.calibration) == ("converged", "known", "toys")
    assert (result.n_data, result.n_reference, result.n_toys, result.expected) == (85, 770, 99, N)
    assert result.converged
    assert result.widths == (0.5, 1.5)
    assert len(result.t) == len(result.p_per_width) == 2
    assert result.p_interval[0] < result.p_value < result.p_interval[1]
    assert result.checks["settings_from_reference"]
    assert result.checks["n_settings"] == result.checks["n_centers"] == 30
    assert result.checks["pool_overlap"] == pytest.approx(N / (770 + 1600))
    assert result.checks["yield_pull"] == pytest.approx(5 / np.sqrt(N))
    assert result.nu_hat is None


def test_data_outside_the_reference_are_reported(ready: KernelTest) -> None:
    data = np.vstack([sample(4, 75), np.full((5, 2), 50.0) + np.arange(5)[:, None]])
    assert ready.search(data).checks["far_outside"] == pytest.approx(5 / 80, abs=0.02)


def test_json_round_trip_is_exact(ready: KernelTest) -> None:
    for data in (sample(5, 80), with_signal(6)):
        result = ready.search(data)
        text = result.to_json()
        assert SearchResult.from_json(text) == result
        assert SearchResult.from_json(text).to_json() == text
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.p_value = 0.0
    for bad in ("[]", "{", '{"p": 1}'):
        with pytest.raises(errors.CorruptFileError):
            SearchResult.from_json(bad)


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.1)", "free"])
def test_saved_test_scores_and_searches_alike(tmp_path: Path, normalisation: str) -> None:
    test = small_test(normalisation=normalisation).fit(sample(0, 800), expected=N)
    test.calibrate(sample(1, 1600), n_toys=20)
    result, path = test.search(with_signal(7)), tmp_path / "test.npz"
    test.save(path)
    loaded = KernelTest.load(path)
    x = sample(8, 50)
    np.testing.assert_array_equal(loaded.score(x), test.score(x))
    assert loaded.search(with_signal(7)) == result
    assert loaded.options == test.options
    assert [p.name for p in tmp_path.iterdir()] == ["test.npz"]


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.MissingFileError):
        KernelTest.load(tmp_path / "none.npz")
    for name, content in (("empty.npz", b""), ("text.npz", b"not an archive"), ("zip.npz", b"PK\x03\x04broken")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(errors.CorruptFileError):
            KernelTest.load(tmp_path / name)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(errors.CorruptFileError):
        KernelTest.load(tmp_path / "other.npz")


def run(seed: int = 1, **options: object) -> SearchResult:
    test = small_test(**options).fit(sample(0, 800), expected=N)
    test.calibrate(sample(1, 1600), n_toys=30, seed=seed)
    return test.search(with_signal(9, 4))


@pytest.mark.parametrize("options", [{}, {"precision": "mixed", "rank_tolerance": 0.01}])
def test_same_seed_same_result_bit_for_bit(options: dict[str, object]) -> None:
    first = run(**options)
    assert run(**options) == first
    assert run(seed=2, **options) != first
    assert run(memory_budget=0.0008, **options) == first  # too little for all features: recomputed block by block


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float64", None), ("mixed", None)])
def test_results_do_not_depend_on_the_batch_size(
    monkeypatch: pytest.MonkeyPatch, precision: str, tolerance: float | None
) -> None:
    """Sums in another order end the iteration elsewhere within its tolerance: |delta t| <= 2 sqrt(t) delta each."""
    dtype = PRECISIONS[precision]
    if tolerance is not None:
        monkeypatch.setitem(compute.TOLERANCES, dtype, tolerance)
    test = small_test(precision=precision).fit(sample(0, 800), expected=N)
    t = test.calibrate(sample(1, 1600), n_toys=30).t
    bound = 4.0 * np.sqrt(t.max()) * compute.TOLERANCES[dtype]
    monkeypatch.setattr(refit, "TOYS_PER_BATCH", 7)
    again = test.calibrate(sample(1, 1600), n_toys=30).t
    np.testing.assert_allclose(again, t, rtol=0, atol=bound)
    if tolerance is not None:
        np.testing.assert_allclose(again, t, rtol=1e-9)
    monkeypatch.setattr(refit, "DENSE", 2.0)  # every toy on its own events
    np.testing.assert_allclose(test.calibrate(sample(1, 1600), n_toys=30).t, t, rtol=0, atol=bound)


def test_progress_counts_every_fit() -> None:
    seen: list[tuple[int, int]] = []
    test = small_test().fit(sample(0, 800), expected=N)
    test.calibrate(sample(1, 400), n_toys=20, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)


def test_one_step_is_compared_with_its_own_null() -> None:
    test = small_test(statistic="one_step").fit(sample(0, 800), expected=N)
    null = test.calibrate(sample(1, 400), n_toys=20)
    assert null.mode == "one_step"
    result = test.search(sample(2, 80))
    assert result.statistic == "one_step"
    assert result.t == tuple(test.statistic(sample(2, 80), mode="one_step").t)


def test_weighted_reference_is_calibrated_with_the_reference_fixed() -> None:
    rng = np.random.default_rng(20)
    x = rng.uniform(-3, 4, (3000, 1))
    weights = np.exp(-0.5 * x[:, 0] ** 2)  # uniform events weighted to a Gaussian
    test = KernelTest(widths=(0.7,), n_centers=30, penalty=1e-4).fit(x, weights, expected=100)
    null = test.calibrate(np.clip(rng.normal(size=(4000, 1)), -3, 4), n_toys=100)
    assert null.reference == "fixed"
    p = [test.search(rng.normal(size=(100, 1))).p_value for _ in range(15)]
    assert 0.2 < np.mean(p) < 0.8
    with pytest.raises(errors.ConfigError, match="fixed"):
        test.calibrate(rng.normal(size=(4000, 1)), n_toys=20, reference="redrawn")


def test_fewer_events_than_centres_means_fewer_centres() -> None:
    test = KernelTest(widths=1.0, n_centers=1000).fit(sample(0, 300), expected=N)
    test.calibrate(sample(1, 400), n_toys=20)
    checks = test.search(sample(2, 80)).checks
    assert checks["n_centers"] == 60  # a fifth of the reference
    assert checks["fewer_centers_than_asked"]
    given = KernelTest(widths=1.0, n_centers=1000).fit(sample(0, 300), expected=N, settings=sample(3, 40))
    assert len(given._need_fit().settings.centers) == 40


def test_setting_events_apart_keeps_the_expectation() -> None:
    test = small_test().fit(sample(0, 800), weights=np.full(800, 0.25))
    assert test._need_fit().expected == 200.0
    assert test._need_fit().weights.sum() == pytest.approx(200.0)


def test_calling_out_of_order_is_named(ready: KernelTest) -> None:
    for call in (
        lambda: small_test().statistic(sample(0, 10)),
        lambda: small_test().calibrate(sample(0, 10)),
        lambda: small_test().search(sample(0, 10)),
        lambda: small_test().score(sample(0, 10)),
        lambda: small_test().save("x.npz"),
        lambda: small_test().fit(sample(0, 800)).search(sample(1, 10)),
        lambda: small_test().fit(sample(0, 800)).score(sample(1, 10)),
    ):
        with pytest.raises(errors.NotFittedError):
            call()
    ready.search(sample(5, 80))
    with pytest.raises(errors.ConfigError, match="width"):
        ready.score(sample(0, 10), width=2)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n_centers": 0}, errors.ConfigError),
        ({"n_centers": 2.5}, errors.ConfigError),
        ({"penalty": -1.0}, errors.ConfigError),
        ({"penalty": float("nan")}, errors.ConfigError),
        ({"seed": -1}, errors.ConfigError),
        ({"widths": "all"}, errors.ConfigError),
        ({"memory_budget": 0}, errors.ConfigError),
        ({"normalisation": "fre"}, errors.UnknownNameError),
        ({"precision": "float16"}, errors.UnknownNameError),
        ({"device": "gpu"}, errors.UnknownNameError),
        ({"rank_tolerance": -0.1}, errors.ConfigError),
        ({"rank_tolerance": 1.0}, errors.ConfigError),
        ({"rank_tolerance": float("nan")}, errors.ConfigError),
        ({"embeddings": (2, 0)}, errors.ConfigError),
        ({"statistic": "onestep"}, errors.UnknownNameError),
        ({"combination": "smallest"}, errors.UnknownNameError),
    ],
)
def test_bad_options_are_named(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        small_test(**options)


def nan_at(x: Floats, value: float) -> Floats:
    x = x.copy()
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"reference": nan_at(sample(0, 100), np.nan)}, errors.NonFiniteError, "event 3, feature 1"),
        ({"reference": nan_at(sample(0, 100), np.inf)}, errors.NonFiniteError, "reference"),
        ({"reference": np.ones((2, 3, 4))}, errors.ShapeError, "shape"),
        ({"reference": np.ones((0, 2))}, errors.NotEnoughEventsError, "reference"),
        ({"reference": sample(0, 5)}, errors.NotEnoughEventsError, "5"),
        ({"reference": [["a", "b"]]}, errors.ShapeError, "numbers"),
        ({"weights": -np.ones(100)}, errors.NegativeWeightError, "100 negative"),
        ({"weights": np.zeros(100)}, errors.WeightError, "zero"),
        ({"weights": np.ones(99)}, errors.WeightError, "99"),
        ({"weights": np.full(100, np.nan)}, errors.NonFiniteError, "weights"),
        ({"expected": 0.0}, errors.ConfigError, "expected"),
        ({"expected": -5}, errors.ConfigError, "expected"),
        ({"settings": np.ones((20, 3))}, errors.ShapeError, "3 features"),
        ({"settings": sample(0, 100)[:20]}, errors.OverlapError, "20 of 20"),
        ({"ratio": (1, 2)}, errors.ShapeError, "ratio"),
        ({"reference": np.ones((100, 2))}, errors.NotEnoughEventsError, "distinct"),
    ],
)
def test_bad_fits_are_named(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        KernelTest(n_centers=20).fit(**({"reference": sample(0, 100)} | arguments))


def test_one_toy_that_does_not_converge_ends_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to count: a null with a number that is not a minimum would be wrong."""

    def first_is_stuck(*arguments: Any) -> Fit:
        fit = fit_batch(*arguments)
        return dataclasses.replace(fit, converged=torch.arange(len(fit.converged)) > 0)

    monkeypatch.setattr(refit, "fit_batch", first_is_stuck)
    test = small_test().fit(sample(0, 800), expected=N)
    with pytest.raises(errors.ConvergenceError, match=r"1 of \d+ fits of toys did not reach their minimum"):
        test.calibrate(sample(1, 1600), n_toys=20)


def test_bad_data_and_pools_are_named(ready: KernelTest) -> None:
    reference, pool = sample(0, 800), sample(1, 1600)
    with pytest.raises(errors.NotEnoughEventsError, match="data has no events"):
        ready.search(np.empty((0, 2)))
    with pytest.raises(errors.ShapeError, match="3 features"):
        ready.search(np.ones((10, 3)))
    with pytest.raises(errors.NonFiniteError, match="data"):
        ready.search(nan_at(sample(2, 80), np.nan))
    with pytest.raises(errors.OverlapError, match="pool"):
        ready.search(np.vstack([pool[:10], sample(2, 70)]))
    with pytest.raises(errors.OverlapError, match="reference"):
        ready.search(np.vstack([reference, sample(2, 70)]))
    test = small_test().fit(reference, expected=N)
    with pytest.raises(errors.NotEnoughEventsError, match="at least 125"):
        test.calibrate(pool[:100])
    without = small_test().fit(reference)
    assumed = rf"'expected', the number of data events, was not given.* {len(reference)}, was assumed"
    with pytest.raises(errors.NotEnoughEventsError, match=assumed):
        without.calibrate(pool[:700])
    with pytest.raises(errors.NotEnoughEventsError, match=assumed):
        without.pseudo_data(pool[:700], {}).statistics(0, 10, 1)
    with pytest.raises(errors.NotEnoughEventsError) as told:
        without.calibrate(pool[:20], n_data=int(N))  # of what was assumed nothing is used
    assert "not given" not in str(told.value)
    with pytest.raises(errors.OverlapError, match="reference"):
        test.calibrate(np.vstack([pool, reference[:100]]))
    with pytest.raises(errors.ConfigError, match="n_toys"):
        test.calibrate(pool, n_toys=5)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'toys'"):
        test.calibrate(pool, method="toy")
    with pytest.raises(errors.UnknownNameError, match="fixed"):
        test.calibrate(pool, reference="fix")
    with pytest.raises(errors.UnknownNameError, match="converged"):
        test.statistic(pool[:10], mode="converge")


def test_coarse_features_may_repeat_by_chance() -> None:
    rng = np.random.default_rng(30)
    draws = [np.round(rng.normal(size=(n, 1)), 3) for n in (2000, 2000, 80)]
    test = KernelTest(widths=1.0, n_centers=20, penalty=1e-4).fit(draws[0], expected=N)
    test.calibrate(draws[1], n_toys=20)
    assert 0 < test.search(draws[2]).p_value <= 1


def test_feature_count_one_may_be_given_flat() -> None:
    rng = np.random.default_rng(31)
    test = KernelTest(widths=1.0, n_centers=20, penalty=1e-4).fit(rng.normal(size=500), expected=50)
    assert test.statistic(rng.normal(size=50)).t.shape == (1,)


def test_a_save_that_fails_leaves_the_old_archive_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    test = small_test().fit(mixture(rng, 300), expected=50)
    test.save(tmp_path / "t.npz")
    before = (tmp_path / "t.npz").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        test.save(tmp_path / "t.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]
    assert (tmp_path / "t.npz").read_bytes() == before
