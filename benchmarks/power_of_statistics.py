"""What the choices of a search cost in power: statistics, widths and their combinations, the truncated rank, ensembles.

Four-dimensional mixture, N_R = 20,000, N = 2,000, three signals. All tests see the same toys, so that their numbers of
signal events differ by what they make of them. N_3 is where the median Z is 3, with the interval of 68 % of bootstrap
samples of pseudo-data and null. Prints tables, writes JSON; toys that are done are kept beside it:

    python benchmarks/power_of_statistics.py --out runs/bench/power.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from table import Row, ends, row

from unseen.power import Contender, Curve, Reading, Scan, ToyStore, power_result, run_scan
from unseen.power.crossing import crossing
from unseen.power.kernel import kernel_contender
from unseen.search import COMBINATIONS, KernelTest
from unseen.workers.threads import Threads

Floats = NDArray[np.float64]
N_REFERENCE, EXPECTED, CENTERS = 20_000, 2_000, 300
BEYOND = 5  # null toys beyond Z = 3: all tests share them, so that ratios are known better than the numbers


def background(rng: np.random.Generator, n: int) -> Floats:
    """Three Gaussian clusters in four dimensions, (n, 4)."""
    centres = np.array([[0, 0, 0, 0], [3, 0, 1, 0], [0, 3, 0, -2]], dtype=np.float64)
    k = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return centres[k] + np.array([1.0, 0.5, 0.7])[k, None] * rng.normal(size=(n, 4))


def cluster(center: float, width: float) -> Callable[[np.random.Generator, int], Floats]:
    """A Gaussian signal on the diagonal."""
    return lambda rng, n: center + width * rng.normal(size=(n, 4))


# Injections that bracket a median Z of 3, found by trial.
SIGNALS: dict[str, tuple[Callable[[np.random.Generator, int], Floats], tuple[int, ...]]] = {
    "cluster-in-the-tail": (cluster(-1.9, 0.3), (4, 6, 8, 12, 16, 20, 26, 34)),
    "narrow-cluster-in-the-bulk": (cluster(0.0, 0.25), (25, 35, 45, 55, 70, 90, 120)),
    "broad-excess": (cluster(0.8, 1.3), (30, 45, 60, 75, 90, 120, 150, 190, 240)),
}
TESTS: dict[str, dict[str, Any]] = {
    "converged": {"statistic": "converged"},
    "untruncated": {"statistic": "converged", "rank_tolerance": 0.0},
    "one_step": {"statistic": "one_step"},
    "linear": {"statistic": "linear"},
}


def contender(options: dict[str, Any], name: str, n_source: int) -> Contender:
    """Return a kernel test on events that are the same for all tests, read out in all combinations and by width."""
    rng = np.random.default_rng(5)
    settings, reference, pool = background(rng, 1000), background(rng, N_REFERENCE), background(rng, N_REFERENCE // 2)
    signals = {key: make(rng, n_source) for key, (make, _) in SIGNALS.items()}
    test = KernelTest(n_centers=CENTERS, penalty=1e-6, seed=3, **options)
    test.fit(reference, expected=EXPECTED, settings=settings)
    print(f"{name}: ranks {[m.rank for m in test._need_fit().settings.maps]}", flush=True)
    calibration = "linear" if test.mode == "linear" else "toys"
    found = kernel_contender(test, pool, signals, calibration=calibration, widths=True)
    first = found.readings[0]
    combined = [replace(first, name=f"{name} {c}", combination=c) for c in COMBINATIONS]
    alone = [replace(r, name=f"{name} width {k}") for k, r in enumerate(found.readings[1:])]
    return Contender(found.candidate, (*combined, *alone))


def study(n_null: int, n_toys: int, folder: Path, names: list[str]) -> list[Row]:
    """Throw all toys of `names` and return N_2 and N_3 of every reading."""
    contenders = {name: contender(TESTS[name], name, 4000) for name in names}
    rows: list[Row] = []
    threads = Threads(torch.get_num_threads())
    for signal, (_, injections) in SIGNALS.items():
        scan = Scan((signal,), injections, n_toys, n_null, seed=11)
        for name, one in contenders.items():
            store = ToyStore(folder / name, {"benchmark": "power_of_statistics", "test": name})
            toys = run_scan(scan, {name: one.candidate}, {name: True}, store, threads)
            result = power_result(scan, {name: one}, toys, {})
            rows += report(signal, name, {r.name: result.curve(r.name, signal) for r in one.readings}, one.readings)
    return rows


def report(signal: str, name: str, curves: dict[str, Curve], readings: tuple[Reading, ...]) -> list[Row]:
    """Print and return N_2 and N_3 of each combination, and their ratio to the best single width."""
    rows = []
    for level in (2.0, 3.0):
        found = {
            label: crossing(curve.injections, curve.found, level, beyond=BEYOND) for label, curve in curves.items()
        }
        alone = {k: c.n for k, c in found.items() if "width" in k and c.n is not None}
        best = min(alone.values()) if alone else None
        shown = [None if c.n is None else round(c.n, 1) for k, c in found.items() if "width" in k]
        print(f"{signal}, {name}: N_{level:g} of the widths alone {shown}", flush=True)
        for reading in readings:
            if "width" in reading.name:
                continue
            c = found[reading.name]
            if c.n is None:
                print(f"   {reading.name:25s} N_{level:g} unknown: {c.why}")
                continue
            ratio = "no width alone has one" if best is None else f"{c.n / best:.2f} of the best"
            print(f"   {reading.name:25s} N_{level:g} {c.n:6.1f} ({ends(c)}), {ratio}")
            rows.append(row(f"{signal}, {reading.name}: N_{level:g} ({ends(c)})", c.n, "events", best))
    return rows


def main() -> None:
    """Run, print the tables and write them."""
    parser = argparse.ArgumentParser(description="Power of statistics, widths, combinations and truncation")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--null", type=int, default=8000, help="null toys")
    parser.add_argument("--toys", type=int, default=300, help="pseudo-data sets for each injection")
    parser.add_argument("--tests", nargs="+", choices=list(TESTS), default=list(TESTS))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = study(options.null, options.toys, options.out.with_suffix(".toys"), options.tests)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
