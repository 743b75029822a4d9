"""Accuracy, speed and memory of the kernel test at full size, against a dense fit in the same run.

Events of a four-dimensional Gaussian mixture; one width (the 90th percentile of the settings events' distances) unless
said. The dense fit is plain damped Newton in numpy: float64, all M centres, every direction above rounding, a Hessian
of its own in every step. It shares no code with the package. Parts:

agreement   t of null toys against the dense fits of the same toys, converged and one_step
large       a toy of N_R = 1,000,000 and N_D = 100,000
linear      toys of the linear statistic
widths      the default test, seven widths: fit, 300 toys and one search

Each part is a process of its own, so that its peak memory is its own. Prints a table, writes JSON:

    python benchmarks/engine.py --out runs/bench/engine.json [--quick] [--parts agreement large]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from table import Row, row

from unseen.search import KernelTest, Null, statistic
from unseen.search.loss import Batch
from unseen.search.precondition import Preconditioner
from unseen.search.refit import TOYS_PER_BATCH
from unseen.search.solver import Solution, minimise
from unseen.search.toys import plan_toys

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Evaluate = Callable[[slice], Floats]

PENALTY = 1e-6
WIDTH_PERCENTILE = 90
SEED = 1
ROWS_PER_BLOCK = 8192
NEWTON_STEPS = 100
SHORTEST_STEP = 1e-6
GRADIENT_TOLERANCE = 1e-9  # relative to the gradient at zero
FALKON_SECONDS = 150.0  # LogisticFalkon as tuned, two idle cores: quoted, it is not installed here
MILLION = 1_000_000


@dataclass(frozen=True)
class Sizes:
    """Numbers of events, centres and toys; `n_dense` toys are fitted densely too."""

    n_reference: int
    n_data: int
    n_pool: int
    n_centers: int
    n_toys: int
    n_dense: int = 0

    def __str__(self) -> str:
        return f"N_R={self.n_reference} N_D={self.n_data} M={self.n_centers}"


FULL: dict[str, tuple[Sizes, ...]] = {
    "agreement": (Sizes(100_000, 10_000, 100_000, 1000, 300, 30),),
    "large": (Sizes(MILLION, 100_000, MILLION, 1000, 300),),
    "linear": (Sizes(MILLION, 100_000, MILLION, 1000, 200), Sizes(100_000, 10_000, 100_000, 1000, 20_000)),
    "widths": (Sizes(100_000, 10_000, 100_000, 1000, 300),),
}
QUICK: dict[str, tuple[Sizes, ...]] = {
    "agreement": (Sizes(4000, 400, 4000, 100, 40, 10),),
    "large": (Sizes(20_000, 2000, 20_000, 100, 20),),
    "linear": (Sizes(20_000, 2000, 20_000, 100, 50), Sizes(4000, 400, 4000, 100, 500)),
    "widths": (Sizes(2000, 200, 2000, 50, 20),),
}


@dataclass(frozen=True)
class Problem:
    """Events (n, 4) of one size; `sigma` is in the units in which the settings events are standardised."""

    sizes: Sizes
    reference: Floats
    pool: Floats
    settings: Floats
    data: Floats

    @classmethod
    def simulate(cls, sizes: Sizes) -> Problem:
        rng = np.random.default_rng(SEED)
        counts = (sizes.n_reference, sizes.n_pool, sizes.n_centers, sizes.n_data)
        return cls(sizes, *(mixture(rng, n) for n in counts))

    def standardise(self, x: Floats) -> Floats:
        result: Floats = (x - self.settings.mean(0)) / self.settings.std(0)
        return result

    @property
    def sigma(self) -> float:
        return float(np.percentile(pdist(self.standardise(self.settings)), WIDTH_PERCENTILE))

    @property
    def weight(self) -> float:
        """Weight of a reference event."""
        return self.sizes.n_data / self.sizes.n_reference

    def fit(self, mode: str, widths: float | str, **options: Any) -> KernelTest:
        """Return the test with its reference; all further options are the defaults unless given."""
        test = KernelTest(widths, self.sizes.n_centers, PENALTY, seed=SEED, statistic=mode, **options)
        return test.fit(self.reference, expected=self.sizes.n_data, settings=self.settings)


def mixture(rng: np.random.Generator, n: int) -> Floats:
    """Three Gaussian clusters in four dimensions, (n, 4)."""
    centres = np.array([[0, 0, 0, 0], [3, 0, 1, 0], [0, 3, 0, -2]], dtype=np.float64)
    widths = np.array([1.0, 0.5, 0.7])
    k = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return centres[k] + widths[k, None] * rng.normal(size=(n, 4))


def kernel(x: Floats, centres: Floats, sigma: float) -> Floats:
    """Gaussian kernel (n, M)."""
    square = (x**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * x @ centres.T
    result: Floats = np.exp(-np.maximum(square, 0.0) / (2 * sigma**2))
    return result


def whitening(centres: Floats, sigma: float) -> Floats:
    """Return V (M, r) with which k(x, centres) V has a unit penalty: directions of K_MM above its rounding error."""
    values, vectors = np.linalg.eigh(kernel(centres, centres, sigma))
    kept = values > len(values) * values[-1] * np.finfo(np.float64).eps
    result: Floats = vectors[:, kept] / np.sqrt(values[kept])
    return result


class Dense:
    """Dense fits of the loss of arXiv:2204.02317: `evaluate` gives the features of a slice of events.

    `code` (n,) is +1 for reference events, which weigh `weight`, -1 for data, 0 for events that play nothing.
    """

    def __init__(self, evaluate: Evaluate, rank: int, code: Codes, weight: float) -> None:
        self.evaluate, self.rank, self.code, self.weight = evaluate, rank, code, weight
        self.ridge = float(np.count_nonzero(code)) * PENALTY

    def blocks(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Yield (features, reference weights, data counts) of the events that play a part."""
        for start in range(0, len(self.code), ROWS_PER_BLOCK):
            rows = slice(start, start + ROWS_PER_BLOCK)
            code = self.code[rows]
            used = code != 0
            yield self.evaluate(rows)[used], self.weight * (code[used] > 0), (code[used] < 0).astype(np.float64)

    def expand(self, b: Floats) -> tuple[float, Floats, Floats]:
        """Return loss, gradient and Hessian at b in one pass."""
        loss, gradient = 0.5 * self.ridge * float(b @ b), self.ridge * b
        hessian = np.diag(np.full(self.rank, self.ridge))
        for phi, reference, data in self.blocks():
            f = phi @ b
            s, w = 1.0 / (1.0 + np.exp(-f)), reference + data
            loss += float(np.sum(w * np.logaddexp(0.0, f) - data * f))
            gradient += phi.T @ (w * s - data)
            root = phi * np.sqrt(w * s * (1.0 - s))[:, None]
            hessian += root.T @ root
        return loss, gradient, hessian

    def one_step(self) -> Floats:
        """Return the minimum of the quadratic expansion at zero, one linear solve."""
        b = np.zeros(self.rank)
        _, gradient, hessian = self.expand(b)
        b -= np.linalg.solve(hessian, gradient)
        return b

    def converged(self) -> Floats:
        """Return the minimum, by Newton steps that are halved until the loss falls."""
        b = np.zeros(self.rank)
        loss, gradient, hessian = self.expand(b)
        target = GRADIENT_TOLERANCE * float(np.linalg.norm(gradient))
        for _ in range(NEWTON_STEPS):
            if float(np.linalg.norm(gradient)) <= target:
                return b
            step, length = np.linalg.solve(hessian, gradient), 1.0
            there = self.expand(b - step)
            while there[0] > loss + 1e-12 * abs(loss) and length > SHORTEST_STEP:  # rounding is no increase
                length *= 0.5
                there = self.expand(b - length * step)
            b, (loss, gradient, hessian) = b - length * step, there
        raise RuntimeError(f"the dense fit has a gradient of {np.linalg.norm(gradient):g}, {target:g} was asked for")

    def t(self, b: Floats) -> float:
        """Return t = 2 [ sum_D f - sum_R w (exp f - 1) ]."""
        total = 0.0
        for phi, reference, data in self.blocks():
            f = phi @ b
            total += float(data @ f - reference @ np.expm1(f))
        return 2.0 * total


def agreement(sizes: Sizes) -> list[Row]:
    """Compare t of the same toys, and the time of a fit: ours with its features, the dense one without."""
    problem = Problem.simulate(sizes)
    sigma, centres = problem.sigma, problem.standardise(problem.settings)
    v = whitening(centres, sigma)
    union = problem.standardise(np.concatenate([problem.reference, problem.pool]))
    blocks = range(0, len(union), ROWS_PER_BLOCK)
    phi = np.concatenate([kernel(union[i : i + ROWS_PER_BLOCK], centres, sigma) @ v for i in blocks])
    plan = plan_toys(sizes.n_toys, sizes.n_data, sizes.n_reference, sizes.n_pool, "redrawn", SEED)
    rows: list[Row] = []
    for mode in ("converged", "one_step"):
        start = time.perf_counter()
        null = problem.fit(mode, sigma).calibrate(problem.pool, method="toys", n_toys=sizes.n_toys, seed=SEED)
        ours = (time.perf_counter() - start) / sizes.n_toys
        start, dense_t = time.perf_counter(), np.empty(sizes.n_dense)
        for toy in range(sizes.n_dense):
            dense = Dense(lambda rows: phi[rows], v.shape[1], plan.draw(toy), problem.weight)
            dense_t[toy] = dense.t(dense.converged() if mode == "converged" else dense.one_step())
        dense_seconds = (time.perf_counter() - start) / sizes.n_dense
        every = problem.fit(mode, sigma, rank_tolerance=0.0)  # the first toys of a plan do not depend on its length
        whole = every.calibrate(problem.pool, method="toys", n_toys=sizes.n_dense, seed=SEED)
        spread, of = float(null.t[:, 0].std(ddof=1)), f"of {sizes.n_dense} toys"
        delta = (null.t[: sizes.n_dense, 0] - dense_t) / spread
        arithmetic = float(np.abs(whole.t[:, 0] - dense_t).max()) / spread
        name, unit = f"{sizes} {mode}", "null standard deviations"
        rows += [
            row(f"{name}: largest |delta t| {of} (target < 0.01)", float(np.abs(delta).max()), unit),
            row(f"{name}: mean delta t {of}", float(delta.mean()), unit),
            row(f"{name}: largest |delta t| {of} with rank_tolerance=0", arithmetic, unit),
            row(f"{name}: one fit of {sizes.n_toys}, dense fit without its features", ours, "s", dense_seconds),
        ]
    return rows


def large(sizes: Sizes, *, full: bool) -> list[Row]:
    """Time a toy, features included; then fit one data set here and densely, features recomputed in blocks."""
    problem, passes = Problem.simulate(sizes), list[int]()

    def counted(batch: Batch, start: Preconditioner, tolerance: float, first: torch.Tensor) -> Solution:
        solution = minimise(batch, start, tolerance, first)
        passes.append(solution.passes)
        return solution

    start = time.perf_counter()
    with patch.object(statistic, "minimise", counted):
        test = problem.fit("converged", problem.sigma)
        null = test.calibrate(problem.pool, method="toys", n_toys=sizes.n_toys, seed=SEED)
    ours, peak = (time.perf_counter() - start) / sizes.n_toys, peak_memory()
    result = test.search(problem.data)
    start = time.perf_counter()
    dense = _streamed(problem)
    t = dense.t(dense.converged())
    dense_seconds = time.perf_counter() - start
    name = f"{sizes}: one toy of {sizes.n_toys}, features included"
    delta = abs(result.t[0] - t) / float(null.t[:, 0].std(ddof=1))
    falkon = "against LogisticFalkon as tuned, 150 s on two idle cores (quoted, not measured here)"
    return [
        row(f"{name}, against a dense fit", ours, "s", dense_seconds),
        *([row(f"{name}, {falkon}", ours, "s", FALKON_SECONDS)] if full else []),
        row(f"{sizes}: |delta t| of one data set against the dense fit", delta, "null standard deviations"),
        row(f"{sizes}: rank, of the dense fit's", result.checks["rank"][0], "directions", dense.rank),
        row(f"{sizes}: thinned centres, of all", len(test.scorer(0).centers), "centres", sizes.n_centers),
        row(f"{sizes}: mean passes over the events", sum(passes) / len(passes), "passes"),
        row(f"{sizes}: peak memory", peak, "GiB"),
    ]


def _streamed(problem: Problem) -> Dense:
    """Return the dense fit of the problem's data, which holds one block of features at a time."""
    sigma, centres = problem.sigma, problem.standardise(problem.settings)
    v = whitening(centres, sigma)
    events = problem.standardise(np.concatenate([problem.reference, problem.data]))
    code = np.ones(len(events), dtype=np.int8)
    code[len(problem.reference) :] = -1
    return Dense(lambda rows: kernel(events[rows], centres, sigma) @ v, v.shape[1], code, problem.weight)


class Ticks:
    """Notes when how many toys were done: the time of a toy without what comes before the first batch."""

    def __init__(self) -> None:
        self.noted: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.noted.append((time.perf_counter(), done))

    @property
    def seconds_per_toy(self) -> float:
        (first, before), (last, after) = self.noted[0], self.noted[-1]
        return (last - first) / (after - before)


def linear(sizes: Sizes, many: Sizes, *, all_toys: bool) -> list[Row]:
    """Time linear toys with and without their features, then the rate of many smaller ones."""
    problem = Problem.simulate(sizes)
    start = time.perf_counter()
    test = problem.fit("linear", problem.sigma)
    test.calibrate(problem.pool, method="linear", n_toys=sizes.n_toys, seed=SEED)
    included = (time.perf_counter() - start) / sizes.n_toys
    ticks = Ticks()
    test.calibrate(problem.pool, method="linear", n_toys=TOYS_PER_BATCH + sizes.n_toys, seed=SEED, progress=ticks)
    of = f"one linear toy of {sizes.n_toys}"
    rows = [
        row(f"{sizes}: {of}, features excluded (target < 10)", 1e3 * ticks.seconds_per_toy, "ms"),
        row(f"{sizes}: {of}, features included", 1e3 * included, "ms"),
        row(f"{sizes}: linear toys, peak memory", peak_memory(), "GiB"),
    ]
    small, ticks = Problem.simulate(many), Ticks()
    n_toys = MILLION if all_toys else many.n_toys
    start = time.perf_counter()
    test = small.fit("linear", small.sigma)
    null = test.calibrate(small.pool, method="linear", n_toys=n_toys, seed=SEED, progress=ticks)
    seconds = time.perf_counter() - start
    rows += analytic_tail(null, str(many))
    rows.append(row(f"{many}: linear toys, rate of {n_toys}, features included", n_toys / seconds, "1/s"))
    if all_toys:
        return [*rows, row(f"{many}: {MILLION} linear toys", seconds, "s")]
    projected = seconds + (MILLION - n_toys) * ticks.seconds_per_toy
    return [*rows, row(f"{many}: {MILLION} linear toys, projected from {n_toys}", projected, "s")]


def analytic_tail(null: Null, name: str) -> list[Row]:
    """Count the linear toys beyond points of the analytic null's tail, against the number expected there."""
    analytic, check = null.analytic[0], null.checks["analytic"]
    p = np.exp(analytic.log_p(null.t[:, 0]))
    verdict = "passed" if check["passed"] else "failed"
    name = f"{name}: {len(p)} linear toys, analytic check {verdict} (change {check['tail_change'][0]:.3f})"
    return [
        row(f"{name}, toys beyond p = {tail:g}", float((p <= tail).sum()), "toys", len(p) * tail)
        for tail in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    ]


def widths(sizes: Sizes) -> list[Row]:
    """Time the default test: seven widths, toys, one search."""
    problem = Problem.simulate(sizes)
    start = time.perf_counter()
    test = problem.fit("converged", "auto")
    test.calibrate(problem.pool, n_toys=sizes.n_toys, seed=SEED)
    result = test.search(problem.data)
    seconds = time.perf_counter() - start
    name = f"{sizes} seven widths"
    return [
        row(f"{name}: fit, {sizes.n_toys} toys, one search (target < 120)", seconds, "s"),
        row(f"{name}: peak memory", peak_memory(), "GiB"),
        *(
            row(f"{name}: rank at {sigma:.3g}", rank, "directions")
            for sigma, rank in zip(result.widths, result.checks["rank"], strict=True)
        ),
    ]


def peak_memory() -> float:
    """Return the largest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run_part(part: str, quick: bool, full_linear: bool) -> list[Row]:
    """Return the rows of one part."""
    sizes = (QUICK if quick else FULL)[part]
    if part == "agreement":
        return agreement(sizes[0])
    if part == "large":
        return large(sizes[0], full=not quick)
    if part == "linear":
        return linear(sizes[0], sizes[1], all_toys=full_linear)
    return widths(sizes[0])


def main() -> None:
    """Run the parts, print the table and write it."""
    parser = argparse.ArgumentParser(description="Accuracy, speed and memory of the kernel test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=list(FULL), default=list(FULL))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: seconds, numbers without meaning")
    parser.add_argument("--full-linear", action="store_true", help="run a million linear toys, not a projection")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for part in options.parts:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            new = process.submit(run_part, part, options.quick, options.full_linear).result()
        rows += new
        for r in new:
            compared = "" if r["baseline"] is None else f"baseline {r['baseline']:.4g} ratio {r['ratio']:.3g}"
            print(f"{r['name']:120s} {r['value']:.4g} {r['unit']} {compared}", flush=True)
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
