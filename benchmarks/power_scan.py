"""How long a power scan takes: one signal, eight injections, 300 pseudo-data sets each, 600 null toys.

Four-dimensional mixture, N_R = 100,000, N = 10,000, 1,000 centres, known normalisation. Everything is included: fit,
features, toys, p-values, interpolation. Prints a table, writes JSON:

    python benchmarks/power_scan.py --out runs/bench/power_scan.json
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from power_of_statistics import background, cluster
from table import Row, row

from unseen.power import Scan, ToyStore, power_result, run_scan
from unseen.power.kernel import kernel_contender
from unseen.search import KernelTest
from unseen.workers.threads import Threads

N_REFERENCE, EXPECTED, CENTERS, N_POOL = 100_000, 10_000, 1000, 20_000
INJECTIONS = (0, 15, 30, 45, 60, 80, 100, 130)
TARGET = 300.0


def scan(statistic: str, scale: float, n_toys: int) -> dict[str, float]:
    """Return the seconds of one scan and its N_2; sizes times `scale`."""
    start = time.perf_counter()
    rng = np.random.default_rng(9)
    n, expected = int(N_REFERENCE * scale), EXPECTED * scale
    settings, reference, pool = (background(rng, k) for k in (5000, n, int(N_POOL * scale)))
    signals = {"cluster": cluster(-1.9, 0.3)(rng, 3000)}
    test = KernelTest(n_centers=CENTERS, statistic=statistic, seed=1)
    test.fit(reference, expected=expected, settings=settings)
    calibration = "linear" if statistic == "linear" else "toys"
    one = kernel_contender(test, pool, signals, calibration=calibration)
    plan = Scan(("cluster",), INJECTIONS, n_toys, 2 * n_toys, seed=1, chunk=150)
    fitted = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        store = ToyStore(Path(folder) / "toys", {"benchmark": "power_scan"})
        toys = run_scan(plan, {"kernel": one.candidate}, {"kernel": True}, store, Threads(torch.get_num_threads()))
    thrown = time.perf_counter() - start
    curve = power_result(plan, {"kernel": one}, toys, {}).curves[0]
    found = curve.crossings[0]
    if found.n is None:
        print(f"{statistic}: N_2 is unknown: {found.why}", flush=True)
    n2 = {} if found.n is None else {"n2": found.n}
    return {"fit": fitted, "toys": thrown - fitted, "whole": time.perf_counter() - start} | n2


def main() -> None:
    """Run, print the table and write it."""
    parser = argparse.ArgumentParser(description="The time of a power scan")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--statistics", nargs="+", default=["linear", "one_step", "converged"])
    parser.add_argument("--toys", type=int, default=300)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sample sizes")
    options = parser.parse_args()
    rows: list[Row] = []
    for statistic in options.statistics:
        seconds, before = scan(statistic, options.scale, options.toys), len(rows)
        of = f"{statistic}, {len(INJECTIONS)} injections of {options.toys} toys, seven widths"
        rows.append(row(f"{of}: whole scan (target)", seconds["whole"], "s", TARGET))
        rows.append(row(f"{of}: fit and settings", seconds["fit"], "s", None))
        toys = (len(INJECTIONS) + 2) * options.toys
        rows.append(row(f"{of}: a toy at all widths", 1e3 * seconds["toys"] / toys, "ms", None))
        if "n2" in seconds:
            rows.append(row(f"{of}: N_2", seconds["n2"], "events", None))
        rows.append(
            row(f"{of}: peak memory so far", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "GiB", None)
        )
        for r in rows[before:]:
            print(f"{r['name']:90s} {r['value']:.4g} {r['unit']}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
