"""The kernel test on a GPU against the same machine's CPU, in one run.

Four-dimensional Gaussian mixture, one width (the 90th percentile of the settings events' distances). Parts:

large       converged toys of N_R = 1,000,000 and N_D = 100,000, features included
agreement   t of the same toys on both devices
linear      toys of the linear statistic, features excluded

Without a GPU only the CPU runs, at tiny sizes. Prints a table, writes JSON:

    python benchmarks/gpu.py --out runs/bench/gpu.json [--quick] [--parts large]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from table import Row, row

from unseen.search import KernelTest, Null
from unseen.search.refit import TOYS_PER_BATCH

Floats = NDArray[np.float64]

PENALTY = 1e-6
WIDTH_PERCENTILE = 90
SEED = 1
PARTS = ("large", "agreement", "linear")


@dataclass(frozen=True)
class Sizes:
    """Numbers of events, centres, and toys of each part."""

    n_reference: int
    n_data: int
    n_pool: int
    n_centers: int
    n_large: int
    n_agreement: int
    n_linear: int

    def __str__(self) -> str:
        return f"N_R={self.n_reference} N_D={self.n_data} M={self.n_centers}"


FULL = Sizes(1_000_000, 100_000, 1_000_000, 1000, 300, 20, 1000)
QUICK = Sizes(20_000, 2000, 20_000, 100, 20, 10, 50)


@dataclass(frozen=True)
class Problem:
    """Events (n, 4) of one size; `sigma` is in the units in which the settings events are standardised."""

    sizes: Sizes
    reference: Floats
    pool: Floats
    settings: Floats
    sigma: float

    @classmethod
    def simulate(cls, sizes: Sizes) -> Problem:
        rng = np.random.default_rng(SEED)
        reference, pool, settings = (mixture(rng, n) for n in (sizes.n_reference, sizes.n_pool, sizes.n_centers))
        sigma = float(np.percentile(pdist((settings - settings.mean(0)) / settings.std(0)), WIDTH_PERCENTILE))
        return cls(sizes, reference, pool, settings, sigma)

    def fit(self, mode: str, device: str) -> KernelTest:
        """Return the test with its reference on `device`."""
        test = KernelTest(self.sigma, self.sizes.n_centers, PENALTY, seed=SEED, statistic=mode, device=device)
        return test.fit(self.reference, expected=self.sizes.n_data, settings=self.settings)

    def toys(self, device: str, n_toys: int) -> Null:
        """Return a null of converged toys."""
        return self.fit("converged", device).calibrate(self.pool, method="toys", n_toys=n_toys, seed=SEED)


def mixture(rng: np.random.Generator, n: int) -> Floats:
    """Three Gaussian clusters in four dimensions, (n, 4)."""
    centres = np.array([[0, 0, 0, 0], [3, 0, 1, 0], [0, 3, 0, -2]], dtype=np.float64)
    widths = np.array([1.0, 0.5, 0.7])
    k = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return centres[k] + widths[k, None] * rng.normal(size=(n, 4))


def large(problem: Problem, devices: tuple[str, ...]) -> list[Row]:
    """Time fit and toys on each device; the CPU is the baseline of the GPU."""
    n_toys, seconds, rows = problem.sizes.n_large, dict[str, float](), list[Row]()
    if "cuda" in devices:
        torch.cuda.reset_peak_memory_stats()
    for device in devices:
        start = time.perf_counter()
        problem.toys(device, n_toys)
        seconds[device] = time.perf_counter() - start
    for device in devices:
        target, baseline = (" (target < 10)", seconds["cpu"]) if device == "cuda" else ("", None)
        name = f"{problem.sizes} {device}: {n_toys} converged toys, features included{target}"
        rows.append(row(name, seconds[device], "s", baseline))
    if "cuda" in devices:
        peak = torch.cuda.max_memory_allocated() / 2**30
        rows.append(row(f"{problem.sizes} cuda: peak memory of the device", peak, "GiB"))
    return rows


def agreement(problem: Problem, devices: tuple[str, ...]) -> list[Row]:
    """Compare t of the same toys; one device has nothing to agree with."""
    if len(devices) == 1:
        return []
    n_toys = problem.sizes.n_agreement
    one, other = (problem.toys(device, n_toys).t[:, 0] for device in devices)
    delta = float(np.abs(one - other).max() / other.std(ddof=1))
    name = f"{problem.sizes}: largest |delta t| of {n_toys} toys between {' and '.join(devices)}"
    return [row(name, delta, "null standard deviations")]


class Ticks:
    """Notes when how many toys were done: the rate of toys without what comes before the first batch."""

    def __init__(self) -> None:
        self.noted: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.noted.append((time.perf_counter(), done))

    @property
    def rate(self) -> float:
        (first, before), (last, after) = self.noted[0], self.noted[-1]
        return (after - before) / (last - first)


def linear(problem: Problem, devices: tuple[str, ...]) -> list[Row]:
    """Time linear toys on each device; the CPU is the baseline of the GPU."""
    n_toys, rate, rows = problem.sizes.n_linear, dict[str, float](), list[Row]()
    for device in devices:
        test, ticks = problem.fit("linear", device), Ticks()
        test.calibrate(problem.pool, method="linear", n_toys=TOYS_PER_BATCH + n_toys, seed=SEED, progress=ticks)
        rate[device] = ticks.rate
    for device in devices:
        name = f"{problem.sizes} {device}: linear toys, rate of {n_toys}, features excluded"
        rows.append(row(name, rate[device], "1/s", rate["cpu"] if device == "cuda" else None))
    return rows


def main() -> None:
    """Run the parts, print the table and write it."""
    parser = argparse.ArgumentParser(description="The kernel test on a GPU against the CPU")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: seconds, numbers without meaning")
    options = parser.parse_args()
    devices: tuple[str, ...] = ("cuda", "cpu")
    if not torch.cuda.is_available():
        print("torch sees no GPU: rows of the CPU only, at the sizes of --quick")
        devices = ("cpu",)
    for device in devices:
        Problem.simulate(QUICK).toys(device, QUICK.n_large)  # a device's first use loads its libraries: not timed
    problem = Problem.simulate(QUICK if options.quick or len(devices) == 1 else FULL)
    functions = {"large": large, "agreement": agreement, "linear": linear}
    rows: list[Row] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        new = functions[part](problem, devices)
        rows += new
        for r in new:
            compared = "" if r["baseline"] is None else f"baseline {r['baseline']:.4g} ratio {r['ratio']:.3g}"
            print(f"{r['name']:100s} {r['value']:.4g} {r['unit']} {compared}", flush=True)
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
