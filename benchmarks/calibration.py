"""Is every calibration right? Statistics of fresh null data sets against the null that each calibration gives.

One-, four- and 57-dimensional samples. For each dimension one reference, one pool and one null for every combination of
statistic, calibration, normalisation; then fresh null data sets, each with its own reference where toys redraw it. The
p-values of all must be uniform: a Kolmogorov-Smirnov test for each, at a threshold of 1e-3 over the number of tests.
Then the far tail: the analytic null against linear toys. Prints tables, writes JSON:

    python benchmarks/calibration.py --out runs/bench/calibration.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from table import Row, row

from unseen.search import COMBINATIONS, KernelTest, Null, calibrate

Floats = NDArray[np.float64]
DIMENSIONS = (1, 4, 57)
STATISTICS = ("converged", "one_step", "linear")
NORMALISATIONS = ("known", "constrained(0.05)", "free")
THRESHOLD = 1e-3


def sample(rng: np.random.Generator, n: int, d: int) -> Floats:
    """Two Gaussian clusters in d dimensions, (n, d)."""
    x = rng.normal(size=(n, d))
    second = rng.random(n) < 0.3
    x[second] = 1.5 + 0.5 * x[second]
    return x


def cases() -> Iterator[tuple[str, str, str]]:
    """Statistic, calibration and normalisation of every null that is tested."""
    for statistic in STATISTICS:
        for normalisation in NORMALISATIONS:
            for calibration in (
                ("toys", "permutation") if statistic != "linear" else ("linear", "asymptotic", "permutation")
            ):
                yield statistic, calibration, normalisation


def p_values(d: int, statistic: str, calibration: str, normalisation: str, n_sets: int, seed: int) -> dict[str, Floats]:
    """Return p of `n_sets` null data sets for each combination of the widths.

    Every data set has its own reference and settings; calibrations with toys have 99 of them each, and the p-value is
    one of a hundred equally likely ones.
    """
    rng = np.random.default_rng([seed, d])
    n_reference, expected = 1500, 150
    found: dict[str, list[float]] = {name: [] for name in COMBINATIONS}
    for _ in range(n_sets):
        # The true yield of a constrained search is itself uncertain; its auxiliary measurement is at the nominal one.
        pull = rng.normal() * 0.05 if normalisation.startswith("constrained") else 0.0
        n_data = rng.poisson(expected * np.exp(pull))
        data = sample(rng, n_data, d)
        test = KernelTest(
            (0.7 * np.sqrt(d), 1.5 * np.sqrt(d), 3.0 * np.sqrt(d)), 60, 1e-5, normalisation, statistic=statistic
        )
        test.fit(sample(rng, n_reference, d), expected=expected, settings=sample(rng, 300, d))
        null = test.calibrate(
            data if calibration == "permutation" else sample(rng, 5 * n_reference, d),
            method=calibration,
            n_toys=4000 if calibration == "asymptotic" else 99,
            seed=int(rng.integers(2**31)),
            n_data=n_data if normalisation == "free" else None,
        )
        t = test.statistic(data).t
        for name in COMBINATIONS:
            found[name].append(with_combination(null, name).p_value(t).p)
    return {name: np.array(p) for name, p in found.items()}


def with_combination(null: Null, name: str) -> Null:
    """The same null with another combination of the widths."""
    return Null(
        null.t, null.mode, name, null.calibration, null.reference, null.n_pool, null.n_data, null.analytic, null.halves
    )


def uniformity(n_sets: int, dimensions: list[int], statistics: list[str], normalisations: list[str]) -> list[Row]:
    """Test every case and print its p-value of uniformity and its rate of p <= 0.05."""
    rows = []
    calibrate.CHECK_TOYS = 50  # the analytic null is judged here by its p-values, not by its own check
    todo = [(d, *case) for d in dimensions for case in cases() if case[0] in statistics and case[2] in normalisations]
    n_tests = len(todo) * len(COMBINATIONS)
    for i, (d, statistic, calibration, normalisation) in enumerate(todo):
        for name, p in p_values(d, statistic, calibration, normalisation, n_sets, i).items():
            ks = against_uniform(p, 100 if calibration != "asymptotic" else 4001)
            label = f"d={d} {statistic} {calibration} {normalisation} {name}"
            rate = float(np.mean(p <= 0.05))
            rows.append(row(f"{label}: p of uniformity", ks, "", THRESHOLD / n_tests))
            rows.append(row(f"{label}: rate of p <= 0.05", rate, "", 0.05))
            verdict = "" if ks > THRESHOLD / n_tests else "FAILED"
            print(
                f"{label:65s} KS p {ks:8.2g}  p<=0.05: {rate:.3f} +- {np.sqrt(0.0475 / n_sets):.3f} {verdict}",
                flush=True,
            )
    return rows


def against_uniform(p: Floats, n_values: int) -> float:
    """p-value of ranks 1..n_values (p times n_values) being equally likely: smeared inside each rank, then KS."""
    rng = np.random.default_rng(0)
    return float(stats.kstest(p - rng.random(len(p)) / n_values, stats.uniform(0, 1).cdf).pvalue)


# Dimensions, N_R, N and width: many events per kernel in the first, few in the last.
TAILS = (
    (1, 30_000, 10_000, 3.4),
    (1, 30_000, 10_000, 1.7),
    (4, 30_000, 10_000, 6.0),
    (4, 30_000, 10_000, 4.0),
    (4, 10_000, 1000, 2.0),
)


def tails(n_toys: int, cases: list[int]) -> list[Row]:
    """Compare the analytic null with linear toys far out, with few and with many events per kernel."""
    rows = []
    for d, n_reference, expected, width in (TAILS[i] for i in cases):
        rng = np.random.default_rng([d, expected])
        test = KernelTest(width, 300, 1e-6, statistic="linear")
        test.fit(sample(rng, n_reference, d), expected=expected, settings=sample(rng, 1000, d))
        null = test.calibrate(sample(rng, n_reference, d), method="linear", n_toys=n_toys)
        analytic, check = null.analytic[0], null.checks["analytic"]
        p = np.exp(analytic.log_p(null.t[:, 0]))
        verdict = "passed" if check["passed"] else "failed"
        name = f"d={d} N_R={n_reference} N={expected} width {width}: excess variance "
        name += f"{analytic.variance_excess:.4f}, predicted change {check['tail_change'][0]:.3f}, check {verdict}"
        print(name, flush=True)
        for tail in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
            k = int((p <= tail).sum())
            low, high = stats.poisson.interval(0.95, n_toys * tail)
            rows.append(row(f"{name}; toys beyond p = {tail:g}", k / (n_toys * tail), "times expected", None))
            print(
                f"   p = {tail:g}: {k} toys, {n_toys * tail:g} expected (95 % interval {low:g} to {high:g})", flush=True
            )
    return rows


def main() -> None:
    """Run, print the tables and write them."""
    parser = argparse.ArgumentParser(description="Uniformity of every calibration, and its far tail")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--tail-toys", type=int, default=1_000_000)
    parser.add_argument("--tail-cases", type=int, nargs="+", default=list(range(len(TAILS))))
    parser.add_argument("--dimensions", type=int, nargs="+", default=list(DIMENSIONS))
    parser.add_argument("--statistics", nargs="+", choices=STATISTICS, default=list(STATISTICS))
    parser.add_argument("--normalisations", nargs="+", choices=NORMALISATIONS, default=list(NORMALISATIONS))
    parser.add_argument("--parts", nargs="+", default=["uniformity", "tails"])
    options = parser.parse_args()
    rows = (
        uniformity(options.sets, options.dimensions, options.statistics, options.normalisations)
        if "uniformity" in options.parts
        else []
    )
    rows += tails(options.tail_toys, options.tail_cases) if "tails" in options.parts else []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
