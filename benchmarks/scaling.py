"""Strong and weak scaling of toys over workers of every kind on this machine.

Strong: the same toys on one worker and on more. Weak: toys in proportion to the workers. A toy is a fit of the kernel
test at one width (four dimensions, N_R = 20,000, N = 2,000, 300 centres). What a worker computes for itself once, the
features of the events, is in the time, and so is the start of the workers. Prints a table, writes JSON:

    python benchmarks/scaling.py --out runs/bench/scaling.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from power_of_statistics import background, cluster
from table import row

from unseen.power import Contender, Scan, ToyStore, run_scan
from unseen.power.kernel import kernel_contender
from unseen.search import KernelTest
from unseen.workers import cores, workers

KINDS = {"threads": (None, True), "processes": (None, False), "dask": ("local", False)}


def contender() -> Contender:
    """Return a kernel test at one width."""
    rng = np.random.default_rng(4)
    settings, reference, pool = (background(rng, n) for n in (1000, 20_000, 6000))
    test = KernelTest(2.5, n_centers=300, seed=1).fit(reference, expected=2000, settings=settings)
    return kernel_contender(test, pool, {"cluster": cluster(-1.9, 0.3)(rng, 2000)})


def seconds(one: Contender, kind: str, count: int, n_toys: int) -> tuple[float, float]:
    """Return the seconds of `n_toys` null toys and as many with signal, without and with the workers' start and end."""
    cluster_name, threads = KINDS[kind]
    scan = Scan(("cluster",), (20,), n_toys, n_toys, seed=1, chunk=50)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, workers(cluster_name, count, threads=threads) as pool:
        store = ToyStore(Path(folder) / "toys", {"benchmark": "scaling"})
        start = time.perf_counter()
        run_scan(scan, {"kernel": one.candidate}, {"kernel": True}, store, pool)
        done = time.perf_counter()
    return done - start, done - begin


def main() -> None:
    """Run, print the table and write it."""
    parser = argparse.ArgumentParser(description="Scaling of toys over workers")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toys", type=int, default=1000)
    options = parser.parse_args()
    one, rows = contender(), []
    counts = sorted({1, 2, cores()})
    for kind in KINDS:
        base = None
        for count in counts:
            run, whole = seconds(one, kind, count, options.toys)
            base = run if base is None else base
            name = f"{kind}, {count} workers, {2 * options.toys} toys"
            rows.append(row(f"{name}: strong, speed-up over one worker", base / run, "times", None))
            rows.append(row(f"{name}: seconds, start and end included", whole, "s", None))
            weak, _ = seconds(one, kind, count, options.toys * count // max(counts))
            rows.append(row(f"{name}: weak, {2 * options.toys * count // max(counts)} toys", weak, "s", None))
            for r in rows[-3:]:
                print(f"{r['name']:70s} {r['value']:.3g} {r['unit']}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
