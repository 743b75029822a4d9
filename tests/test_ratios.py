"""Nuisance parameters in `unseen search`: coefficients beside the arrays, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.test_cli import call
from unseen.arrays import read_arrays, write_arrays
from unseen.commands import search_arrays
from unseen.errors import (
    ClosureError,
    ConfigError,
    CorruptFileError,
    MissingFileError,
    NonFiniteError,
    NuisanceRangeError,
    ShapeError,
    UnseenError,
)
from unseen.report import nuisances, verdict
from unseen.report.verdict import context
from unseen.search import KernelTest, RatioCoefficients
from unseen.search.profile_trust import Trust
from unseen.systematics import Closure, DensityRatio, yield_ratio

SHIFT = 0.2  # the mean of the first feature moves by so much with nu
SIZES = {"reference": 4000, "data": 300, "pool": 3000}
CONFIG: dict[str, Any] = {
    "simulate": {},
    "search": {"n_centers": 30, "widths": [1.0], "n_toys": 40, "normalisation": "known", "penalty": 1e-3},
}
FILES = ("--reference", "reference.npz", "--data", "data.npz", "--config", "c.yaml", "--expected", "300")


def coefficients(x: Any) -> dict[str, Any]:
    """log r of N(SHIFT nu, 1) against N(0, 1)."""
    return {"linear": SHIFT * x[:, :1], "quadratic": np.full((len(x), 1, 1), -(SHIFT**2) / 2)}


def write_ratio(folder: Path, *samples: str, **changes: Any) -> Path:
    arrays: dict[str, Any] = {"names": np.array(["tilt"])}
    for name in samples or SIZES:
        found = coefficients(read_arrays(folder / f"{name}.npz")["x"])
        arrays |= {f"{name}_{kind}": value for kind, value in found.items()}
    arrays |= changes
    write_arrays(folder / "Q.npz", **{name: value for name, value in arrays.items() if value is not None})
    return folder / "Q.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, n in SIZES.items():
        x = rng.normal(size=(n, 2))
        if name == "data":
            x[:, 0] += 2.0 * SHIFT  # the detector is two standard deviations off
        write_arrays(tmp_path / f"{name}.npz", x=x)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def search(folder: Path, **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        **{name: folder / f"{name}.npz" for name in SIZES},
        "out": folder / "deep" / "result.json",
        "expected": 300.0,
        "config": folder / "c.yaml",
        "toys": None,
        "seed": 1,
        "quiet": True,
    }
    return search_arrays(**(options | changes))


def saved_ratio(folder: Path, closure: Closure | None = None) -> Path:
    """A saved ratio, limits +-3, by which nu changes the rate of all events by 5 %."""
    ratio = yield_ratio("tilt", 0.05, n_features=2, limits=(-3.0, 3.0))
    ratio.with_closure(closure).save(folder / "ratio")
    return folder / "ratio"


def closure(shift: float) -> Closure:
    return Closure(method="moments", nu=((1.0,),), shift=(shift,), error=(0.05,), n_data=300)


def test_profiling_explains_what_the_systematic_did(folder: Path) -> None:
    """Ignoring a shift of 0.4 in 300 events, 7 standard errors, gives a small p; profiling finds nu near 2."""
    assert search(folder)["p_value"] == pytest.approx(1 / 41)
    result = search(folder, ratio=write_ratio(folder))
    assert result["checks"]["nuisances"]["names"] == ["tilt"]
    # The prior pulls nu-hat to 0.92 of the truth; its sd is 1 / sqrt(SHIFT^2 (1/300 + 1/4000)^-1 + 1) = 0.28
    assert result["nu_hat"][0] == pytest.approx(2.0 * 0.92, abs=3 * 0.28)
    assert result["p_value"] > 0.05
    assert search(folder, ratio=folder / "Q.npz") == result


def test_auxiliary_measurements_pull_their_parameter(folder: Path) -> None:
    ratio = write_ratio(folder)
    moved = [search(folder, ratio=ratio, auxiliary={"tilt": a})["nu_hat"][0] for a in (-1.0, 0.0, 1.0)]
    assert moved == sorted(moved)
    with pytest.raises(ConfigError, match=r"no nuisance parameter 'tild'; did you mean 'tilt'"):
        search(folder, ratio=ratio, auxiliary={"tild": 1.0})
    with pytest.raises(ConfigError, match=r"give their --ratio too"):
        search(folder, auxiliary={"tilt": 1.0})


def test_without_a_pool_the_coefficients_follow_their_events(folder: Path) -> None:
    """The half that is set apart takes its rows along: as with a function of the events."""
    result = search(folder, pool=None, ratio=write_ratio(folder, "reference", "data"))
    whole, half = read_arrays(folder / "reference.npz")["x"], result["n_reference"] + 30
    assert result["checks"]["n_pool"] == len(whole) - half
    shuffled = write_ratio(folder, "reference", "data", reference_linear=SHIFT * whole[::-1, :1])
    assert search(folder, pool=None, ratio=shuffled)["t"] != result["t"]


def test_linear_coefficients_alone_and_no_names(folder: Path) -> None:
    ratio = write_ratio(folder, names=None, **{f"{name}_quadratic": None for name in SIZES})
    result = search(folder, ratio=ratio, auxiliary={"nu_1": 0.2})
    assert result["checks"]["nuisances"]["names"] == ["nu_1"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"reference_linear": None}, CorruptFileError, r"no array 'reference_linear' with the coefficients of the ref"),
        ({"pool_linear": None}, CorruptFileError, r"no array 'pool_linear'"),
        ({"data_linear": np.ones((299, 1))}, ShapeError, r"data_linear has shape \(299, 1\), the data has 300 events"),
        ({"data_linear": np.float64(1.0)}, ShapeError, r"data_linear has shape \(\)"),
        ({"pool_quadratic": np.ones((3, 1, 1))}, ShapeError, r"pool_quadratic has shape"),
        ({"pool_quadratic": None}, ConfigError, r"ratio of the pool has no quadratic coefficients"),
        ({"data_linear": np.full((300, 1), np.nan)}, NonFiniteError, r"the linear coefficients of"),
        ({"names": np.array(["a", "b"])}, ConfigError, r"expected 1 different"),
        ({"data_lineal": np.ones(3)}, ConfigError, r"'data_lineal' that no sample .* did you mean 'data_linear'"),
        ({"limits": np.ones(2)}, ShapeError, r"the limits of a ratio have shape"),
        ({"limits": np.array([[1.0, 2.0]])}, ConfigError, r"each pair has to enclose nu = 0"),
        ({"limits": np.array([[-1.0, 2.0]] * 2)}, ShapeError, r"1 nuisance parameters and limits for 2"),
    ],
)
def test_ratios_that_cannot_be_used_are_named(
    folder: Path, changes: dict[str, Any], error: type[UnseenError], message: str
) -> None:
    ratio = write_ratio(folder, **changes)
    with pytest.raises(error, match=message):
        search(folder, ratio=ratio)
    assert not (folder / "deep").exists()


def test_a_pool_without_a_ratio_or_the_other_way_round_is_refused(folder: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"no array 'pool_linear'"):
        search(folder, ratio=write_ratio(folder, "reference", "data"))
    with pytest.raises(ConfigError, match=r"'pool_.*: give the pool too, or drop it"):
        search(folder, pool=None, ratio=write_ratio(folder))
    with pytest.raises(MissingFileError):
        search(folder, ratio=folder / "nowhere.npz")


def test_values_beyond_the_fitted_range_are_told_or_void_the_result(folder: Path) -> None:
    """nu-hat is near 1.9: inside +-3, beyond +-1.2, and more than twice as far out as +-0.3."""
    found = {}
    for limit in (3.0, 1.2, 0.3):
        result = search(folder, ratio=write_ratio(folder, limits=np.array([[-limit, limit]])))
        found[limit] = result["checks"]["nuisances"]["ratio"]
        said = verdict(result) + " " + context(result)
        assert ("extrapolated" in said) == (limit < 3.0)
        assert said.startswith("No statement can be made") == (limit == 0.3)
    limits = {"limits": {"tilt": [-3.0, 3.0]}, "extrapolated": [], "range_passed": True}
    assert found[3.0] == limits | {"closure": {"untested": True}}
    assert found[1.2]["extrapolated"] == ["tilt"]
    assert found[1.2]["range_passed"]
    assert not found[0.3]["range_passed"]
    with pytest.raises(NuisanceRangeError, match=r"measurement of 'tilt' is 2; its ratio was fitted from -0"):
        search(folder, ratio=folder / "Q.npz", auxiliary={"tilt": 2.0})


def test_a_saved_ratio_is_evaluated_on_the_arrays(folder: Path) -> None:
    result = search(folder, ratio=saved_ratio(folder, closure(0.1)))
    said = result["checks"]["nuisances"]
    assert said["names"] == ["tilt"]
    assert said["ratio"]["closure"]["passed"]
    assert said["ratio"]["limits"] == {"tilt": [-3.0, 3.0]}


def test_a_failed_closure_refuses_a_significance_unless_told_otherwise(folder: Path) -> None:
    ratio = saved_ratio(folder, closure(1.2))
    with pytest.raises(ClosureError, match=r"cannot be trusted: closure \(moments\) failed: .*--accept-failed-closure"):
        search(folder, ratio=ratio)
    assert not (folder / "deep").exists()
    result = search(folder, ratio=ratio, accept_failed_closure=True)
    assert result["checks"]["nuisances"]["ratio"]["closure"]["accepted_failure"]
    assert not verdict(result).startswith("No statement")
    assert "closure test of the density ratio failed, and that was accepted" in context(result)


def test_a_closure_of_fewer_events_is_scaled_to_those_of_the_search(folder: Path) -> None:
    """0.1 null standard deviations at 50 events are up to 0.6 at 300: too much; 0.04 are not."""
    few = {"nu": ((1.0,),), "error": (0.01,), "n_data": 50}
    with pytest.raises(ClosureError, match=r"scaled here to 300 data events: 0\.60"):
        search(folder, ratio=saved_ratio(folder, Closure(method="moments", shift=(0.1,), **few)))
    said = search(folder, ratio=saved_ratio(folder, Closure(method="moments", shift=(0.04,), **few)))["checks"]
    found = said["nuisances"]["ratio"]["closure"]
    assert (found["passed"], found["n_data"], found["tested_with"]) == (True, 300.0, 50.0)
    assert found["shift"] == [pytest.approx(0.24)]
    unresolved = Closure(method="moments", shift=(0.04,), **few | {"error": (0.1,)})
    assert unresolved.passed
    found = search(folder, ratio=saved_ratio(folder, unresolved))["checks"]["nuisances"]["ratio"]["closure"]
    assert found["unresolved"]


def test_a_ratio_that_nobody_tested_says_so(folder: Path) -> None:
    result = search(folder, ratio=saved_ratio(folder))
    assert result["checks"]["nuisances"]["ratio"]["closure"] == {"untested": True}
    assert "No closure test of the density ratio was recorded" in context(result)


def test_the_library_refuses_the_same_and_a_saved_test_remembers(folder: Path) -> None:
    x, pool, data = (read_arrays(folder / f"{name}.npz")["x"] for name in ("reference", "pool", "data"))
    ratio = DensityRatio.load(saved_ratio(folder, closure(1.2)))
    test = KernelTest(widths=1.0, n_centers=30)
    with pytest.raises(ClosureError):
        test.fit(x, expected=300, ratio=ratio)
    test.fit(x, expected=300, ratio=ratio, accept_failed_closure=True)
    test.calibrate(pool, n_toys=20)
    test.save(folder / "test.npz")
    again = KernelTest.load(folder / "test.npz").search(data, ratio=ratio)
    assert again.checks["nuisances"]["ratio"]["closure"]["accepted_failure"]
    assert again.checks == test.search(data).checks


@pytest.mark.parametrize("bad", [{"shift": 0.1}, {"passed": "yes"}, 3])
def test_a_closure_that_does_not_say_whether_it_passed_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match=r"does not say whether it passed"):
        RatioCoefficients(np.ones((2, 1)), trust=Trust.checked(None, bad))


def test_search_from_the_command_line_prints_the_parameters(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    write_ratio(folder)
    options = ("--pool", "pool.npz", "--ratio", "Q.npz", "--auxiliary", "tilt=0.5", "-o", "result.json")
    assert call(monkeypatch, "search", *FILES, *options) == 0
    result = json.loads(Path("result.json").read_text())
    assert nuisances(result) in capsys.readouterr().out
    assert "tilt 1." in nuisances(result)
    assert result["checks"]["nuisances"]["auxiliary"] == [0.5]
    for text, said in (("tilt", "expected NAME=VALUE"), ("tilt=x", "expected NAME"), ("tilt=1,tilt=2", "'tilt' twice")):
        assert call(monkeypatch, "search", *FILES, "-o", "r.json", "--ratio", "Q.npz", "--auxiliary", text) == 2
        assert said in capsys.readouterr().err
    saved_ratio(folder, closure(2.0))
    assert call(monkeypatch, "search", *FILES, "--ratio", "ratio", "-o", "r.json", "-q") == 2
    assert "ClosureError" in capsys.readouterr().err
    assert call(monkeypatch, "search", *FILES, "--ratio", "ratio", "-o", "r.json", "-q", "--accept-failed-closure") == 0


def test_an_analytic_null_is_for_one_width_and_for_profiled_tests(folder: Path) -> None:
    """The settings of the file reach the calibration; where it does not pass its check the error says so."""

    def asymptotic(**changes: Any) -> Path:
        section = CONFIG["search"] | {"calibration": "asymptotic"} | changes
        (folder / "a.yaml").write_text(yaml.safe_dump({"search": section}))
        return folder / "a.yaml"

    write_arrays(folder / "pool.npz", x=np.random.default_rng(8).normal(size=(9000, 2)))
    ratio = write_ratio(folder)
    with pytest.raises(ConfigError, match="is for one width, and widths is 'auto'"):
        search(folder, ratio=ratio, config=asymptotic(widths="auto"))
    with pytest.raises(ConfigError, match="unless nuisance parameters"):
        search(folder, config=asymptotic(widths=2.0))
    result = search(folder, ratio=ratio, config=asymptotic(widths=[3.0], penalty=1e-2), toys=200)
    assert result["calibration"] == "asymptotic"
    assert result["nu_hat"][0] == pytest.approx(2.0 * 0.92, abs=3 * 0.28)
