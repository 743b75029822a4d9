"""The kernel test as a contender: its calibrations, its widths, and p-values that are uniform without a signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.power.problems import fitted, samples
from unseen.errors import ConfigError, OverlapError
from unseen.power import Contender, PowerResult, Scan, ToyStore, power_result, run_scan
from unseen.power.kernel import kernel_contender
from unseen.rivals.rank_null import RankNull
from unseen.search import Null
from unseen.workers.serial import Serial


def contender(calibration: str = "toys", **options: object) -> Contender:
    own = samples()
    widths = bool(options.pop("each", False))
    return kernel_contender(fitted(**options), own.pool, own.signals, calibration=calibration, widths=widths)


def study(scan: Scan, own: Contender, folder: Path) -> PowerResult:
    store = ToyStore(folder, {})
    toys = run_scan(scan, {"kernel": own.candidate}, {"kernel": own.needs_null_toys}, store, Serial())
    return power_result(scan, {"kernel": own}, toys, {})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"statistic": "one_step"},
        {"statistic": "linear"},
        {"normalisation": "free"},
        {"normalisation": "constrained(0.1)", "statistic": "one_step"},
    ],
)
def test_p_values_without_signal_are_uniform(options: dict[str, object], tmp_path: Path) -> None:
    """Among the null toys every rank is equally likely: Kolmogorov and Smirnov, two samples, 1 in 1000."""
    n_null = 200 if options.get("statistic", "converged") == "converged" else 1000
    fixed = 80 if options.get("normalisation") == "free" else None
    scan = Scan(("bump",), (0,), n_toys=n_null // 2, n_null=n_null, seed=2, fixed_data=fixed, chunk=500)
    (found,) = study(scan, contender(widths=(1.5,), **options), tmp_path).curve("kernel", "bump").found
    ranks = np.arange(1, n_null + 1) / (n_null + 1)
    assert stats.ks_2samp(found.p, ranks).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("statistic", ["converged", "one_step", "linear"])
@pytest.mark.parametrize("normalisation", ["known", "constrained(0.1)", "free"])
def test_p_values_of_several_widths_without_signal_are_uniform(
    statistic: str, normalisation: str, tmp_path: Path
) -> None:
    fixed = 80 if normalisation == "free" else None
    scan = Scan(("ring",), (0,), n_toys=1000, n_null=1000, seed=4, fixed_data=fixed, chunk=500)
    own = contender(statistic=statistic, normalisation=normalisation)
    (found,) = study(scan, own, tmp_path).curve("kernel", "ring").found
    assert stats.ks_2samp(found.p, np.arange(1, 1001) / 1001).pvalue > 1e-3


def test_the_analytic_null_gives_uniform_p_values(tmp_path: Path) -> None:
    """Its approximation is checked to a few per cent, so that 300 toys cannot tell."""
    own = contender("asymptotic", statistic="linear", widths=(1.5,), penalty=1e-3)
    scan = Scan(("bump",), (0, 20), n_toys=300, n_null=10, seed=2)
    curve = study(scan, own, tmp_path).curve("kernel", "bump")
    assert not own.needs_null_toys
    assert own.calibration == "asymptotic"
    assert curve.found[0].n_null is None
    assert stats.kstest(curve.found[0].p, "uniform").pvalue > 1e-3
    assert curve.median_z[1] > 2.0
    assert not list(tmp_path.rglob("null*"))


def test_auto_takes_the_analytic_null_where_it_passes_its_check_and_toys_elsewhere() -> None:
    own = samples()
    for options in ({"widths": (1.5,), "penalty": 1e-3}, {"widths": (0.5,)}):
        test = fitted(statistic="linear", **options)
        passes = test.calibrate(own.pool, method="auto", n_toys=100).calibration == "asymptotic"
        assert contender("auto", statistic="linear", **options).needs_null_toys != passes
    assert contender("auto").needs_null_toys
    assert contender("auto").calibration == "toys"
    assert contender("auto", statistic="linear", normalisation="free").calibration == "linear"


def test_each_width_can_be_read_by_itself(tmp_path: Path) -> None:
    own = contender(each=True)
    scan = Scan(("bump",), (0, 15), n_toys=12, n_null=20, seed=1)
    result = study(scan, own, tmp_path)
    assert [curve.test for curve in result.curves] == ["kernel", "kernel_width_0", "kernel_width_1"]
    toys = {"kernel": own.candidate}
    t = run_scan(scan, toys, {"kernel": True}, ToyStore(tmp_path, {}), Serial()).t["kernel"]
    null, data = t[scan.null(15)], t[scan.with_signal("bump", 15)]
    for k in (0, 1):
        expected = [(1 + (null[:, k] >= value).sum()) / 21 for value in data[:, k]]
        np.testing.assert_allclose(result.curve(f"kernel_width_{k}", "bump").found[1].p, expected)
    together = [Null(null, "converged").p_value(row).p for row in data]
    np.testing.assert_allclose(result.curve("kernel", "bump").found[1].p, together)
    assert len(contender(each=True, widths=(1.5,)).readings) == 1
    with pytest.raises(KeyError):
        result.curve("kernel", "ring")


def test_one_column_is_ranked_whatever_its_sign() -> None:
    (reading,) = contender(widths=(1.5,)).readings
    null = reading.null(-np.random.default_rng(0).uniform(1, 2, (30, 1)), "bump", 0)
    assert isinstance(null, RankNull)
    assert null.p_value(np.array([-0.5])).p == pytest.approx(1 / 31)


@pytest.mark.parametrize(
    ("calibration", "options", "message"),
    [
        ("permutation", {}, "'permutation' cannot serve a power study"),
        ("toy", {}, "choose one of auto, toys, linear, asymptotic"),
        ("linear", {}, "null of statistic 'linear', not 'converged'"),
        ("asymptotic", {"statistic": "one_step"}, "null of statistic 'linear', not 'one_step'"),
        ("asymptotic", {"statistic": "linear", "normalisation": "free"}, "use calibration 'linear'"),
    ],
)
def test_calibrations_that_do_not_fit_are_named(calibration: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        contender(calibration, **options)


def test_a_pool_that_was_used_elsewhere_is_refused() -> None:
    own = samples()
    with pytest.raises(OverlapError, match="the reference"):
        kernel_contender(fitted(), np.vstack([own.pool, own.reference[:5]]), own.signals)


def test_injections_may_come_in_any_order(tmp_path: Path) -> None:
    results = []
    for injections in ((0, 10, 30), (30, 0, 10)):
        scan = Scan(("bump",), injections, n_toys=10, n_null=20, seed=1)
        results.append(study(scan, contender(widths=(1.5,)), tmp_path))
    assert results[0].to_json() == results[1].to_json()
    assert results[0].to_json()["n_signal"] == [0, 10, 30]
