"""The object: coefficients, weights, checks, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import unseen
from tests.systematics.ratio.build import shift_delta, shifted_gaussian
from unseen.errors import (
    ClosureError,
    CorruptFileError,
    MissingFileError,
    NegativeWeightError,
    NonFiniteError,
    NuisanceError,
    NuisanceRangeError,
    ShapeError,
    UnknownNameError,
    WeightError,
)
from unseen.events.sealed import SEAL, write_sealed_json
from unseen.systematics import Closure, DensityRatio
from unseen.systematics.ratio import archive

Z = np.linspace(-2, 2, 9)[:, None]


@pytest.fixture(scope="module")
def learned() -> DensityRatio:
    return unseen.fit_kernel_ratio(shifted_gaussian(1000), ["shift"], penalty=1e-4, n_centers=50)


def closed() -> DensityRatio:
    return DensityRatio.of(shift_delta, ["shift"], limits=(-3, 3))


def test_it_gives_the_polynomial() -> None:
    ratio = closed()
    linear, quadratic = ratio(Z)
    assert linear.shape == (9, 1)
    assert quadratic.shape == (9, 1, 1)
    np.testing.assert_allclose(ratio.log_ratio(Z, [1.5]), 0.3 * Z[:, 0] - 0.045)
    each = np.linspace(-3, 3, 9)[:, None]
    np.testing.assert_allclose(ratio.log_ratio(Z, each), (0.2 * Z * each - 0.02 * each**2)[:, 0])
    np.testing.assert_array_equal(ratio.reweight(Z, [0.0], np.arange(1.0, 10.0)), np.arange(1.0, 10.0))


def test_two_parameters_have_a_cross_term() -> None:
    def delta(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.hstack([z, -z]), np.tile([[0.0, 0.3], [0.1, 0.5]], (len(z), 1, 1))

    ratio = DensityRatio.of(delta, ["a", "b"])
    np.testing.assert_allclose(ratio.log_ratio(Z, [2.0, 1.0]), Z[:, 0] + 0.8 + 0.5)


def test_a_reweighted_sample_is_checked() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(100_000, 1))
    found = closed().sample_check(z, [3.0])
    # (E r)^2 / E r^2 = exp(-(s nu)^2) for the shifted Gaussian; both sums fluctuate by less than 1 % here
    assert found.effective_size / len(z) == pytest.approx(np.exp(-0.36), rel=0.02)
    assert found.rate == pytest.approx(1.0, abs=5 * 0.66 / np.sqrt(len(z)))
    assert found.largest_weight == pytest.approx(np.exp(0.6 * z.max() - 0.18) / found.rate)
    weighted = closed().sample_check(z, [0.0], np.full(len(z), 2.0))
    assert weighted == (len(z), 1.0, 1.0)


def test_the_search_takes_it_with_its_names() -> None:
    rng = np.random.default_rng(2)
    ratio = closed()
    test = unseen.KernelTest(widths=1.0, n_centers=30, penalty=1e-3)
    test.fit(rng.normal(size=(2000, 1)), expected=1000, ratio=ratio)
    found = test.statistic(rng.normal(0.2, 1.0, size=(1000, 1)))
    assert found.profile is not None
    assert found.profile.names == ("shift",)
    assert found.profile.nu_hat[0] == pytest.approx(1.0, abs=5 * found.profile.nu_error[0])


def test_files_give_the_same_bits(tmp_path: Path, learned: DensityRatio) -> None:
    closure = Closure("moments", ((1.0,),), (0.1,), (0.05,), 1000.0, (12.0,))
    ratio = learned.with_closure(closure)
    ratio.save(tmp_path / "r")
    again = unseen.DensityRatio.load(tmp_path / "r")
    for mine, theirs in zip(ratio(Z), again(Z), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert again.names == ratio.names
    assert again.closure == closure
    assert dict(again.report) == dict(ratio.report)
    np.testing.assert_array_equal(again.limits, ratio.limits)
    first = (tmp_path / "r" / archive.TENSORS).read_bytes()
    again.save(tmp_path / "r")
    assert (tmp_path / "r" / archive.TENSORS).read_bytes() == first
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["ratio.json", "ratio.safetensors"]


def test_a_damaged_folder_is_named(tmp_path: Path, learned: DensityRatio) -> None:
    with pytest.raises(MissingFileError, match=r"no ratio\.json"):
        DensityRatio.load(tmp_path)
    learned.save(tmp_path)
    tensors, description = tmp_path / archive.TENSORS, tmp_path / archive.DESCRIPTION
    whole, text = tensors.read_bytes(), description.read_text()
    tensors.write_bytes(whole[:-8])
    with pytest.raises(CorruptFileError, match="does not match the hash"):
        DensityRatio.load(tmp_path)
    tensors.unlink()
    with pytest.raises(MissingFileError, match=r"no ratio\.safetensors"):
        DensityRatio.load(tmp_path)
    tensors.write_bytes(whole)
    for broken in ("{", "[]", '{"format_version": 99}'):
        description.write_text(broken)
        with pytest.raises(CorruptFileError, match="is damaged"):
            DensityRatio.load(tmp_path)
    content = json.loads(text)
    for changed in (content | {"closure": {"shift": [0.1]}}, content | {"names": ["other"]}):
        description.write_text(json.dumps(changed))
        with pytest.raises(CorruptFileError, match=r"ratio\.json does not match its own hash"):
            DensityRatio.load(tmp_path)
    del content[SEAL]  # as before there were any
    description.write_text(json.dumps(content))
    assert DensityRatio.load(tmp_path).names == learned.names
    content["source"]["n_nuisances"] = 2
    description.write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match="is damaged"):
        DensityRatio.load(tmp_path)
    content["source"]["kind"] = "kernal"
    write_sealed_json(description, content)
    with pytest.raises(UnknownNameError, match="did you mean 'kernel'"):
        DensityRatio.load(tmp_path)


def test_a_function_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NuisanceError, match="cannot be saved"):
        closed().save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_refused(learned: DensityRatio) -> None:
    with pytest.raises(NuisanceRangeError, match=r"'shift' is 3\.5; the ratio was fitted between -3 and 3"):
        learned.log_ratio(Z, [3.5])
    assert len(learned.log_ratio(Z, [3.5], extrapolate=True)) == len(Z)
    with pytest.raises(ShapeError, match="has 2 features, the ratio has 1"):
        learned(np.zeros((3, 2)))
    with pytest.raises(NonFiniteError, match="event 1, feature 0 is nan"):
        learned([[0.0], [np.nan]])
    with pytest.raises(ShapeError, match="nu has shape"):
        learned.log_ratio(Z, [1.0, 2.0])
    with pytest.raises(NonFiniteError, match="nu of 'shift'"):
        learned.log_ratio(Z, [np.inf])
    with pytest.raises(WeightError, match="shape"):
        learned.reweight(Z, [1.0], np.ones(2))
    with pytest.raises(NegativeWeightError, match="positive_weights"):
        learned.reweight(Z, [1.0], -np.ones(9))
    with pytest.raises(NonFiniteError, match="too large"):
        DensityRatio.of(lambda z: 1000 * z, ["a"]).reweight(Z, [1.0])
    with pytest.raises(ShapeError, match="returned shapes"):
        DensityRatio.of(lambda z: np.ones((len(z), 3)), ["a"])(Z)
    with pytest.raises(NonFiniteError, match="coefficients"):
        DensityRatio.of(lambda z: z * np.inf, ["a"])(Z + 5)
    with pytest.raises(NuisanceError, match="all different"):
        DensityRatio.of(shift_delta, ["a", "a"])
    with pytest.raises(NuisanceError, match="low <= 0 <= high"):
        DensityRatio.of(shift_delta, ["a"], limits=(1, 2))


def test_a_closure_is_required(learned: DensityRatio) -> None:
    with pytest.raises(ClosureError, match="no closure test"):
        learned.require_closure()
    good = Closure("moments", ((1.0,), (-1.0,)), (0.1, -0.2), (0.1, 0.1), 1000.0)
    learned.with_closure(good).require_closure()
    bad = Closure("moments", ((1.0,), (-1.0,)), (0.1, 0.9), (0.1, 0.1), 1000.0)
    with pytest.raises(ClosureError, match=r"failed: largest shift 0\.90 \+- 0\.10 .* nu = \(-1\)"):
        learned.with_closure(bad).require_closure()
    vague = Closure("moments", ((1.0,),), (0.1,), (0.4,), 1000.0)
    with pytest.raises(ClosureError, match="not resolved"):
        learned.with_closure(vague).require_closure()
    with pytest.raises(ShapeError, match="2 parameters"):
        learned.with_closure(Closure("moments", ((1.0, 2.0),), (0.1,), (0.4,), 1000.0))
    with pytest.raises(ShapeError, match="at 1 values of nu has 2 shifts"):
        Closure("moments", ((1.0,),), (0.1, 0.2), (0.4,), 1000.0)
    with pytest.raises(NonFiniteError):
        Closure("moments", ((1.0,),), (float("nan"),), (0.4,), 1000.0)
