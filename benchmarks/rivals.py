"""All tests on the same toys: how many signal events each needs, and what a toy costs.

Three problems: the published one-dimensional one (arXiv:2204.02317), a four-dimensional Gaussian mixture, and the
embedding of a finished quickstart run. Pseudo-data have N_S signal events among Poisson(N) background ones; reference
and background are drawn anew for every toy. The kernel test with the yield known competes with the ceiling and the
tests that use the yield; with free normalisation it competes with the tests of shape alone. Tests that cost much get
fewer toys, which the table says. Prints tables, draws figures, writes JSON; toys that are done are kept beside it:

    python benchmarks/rivals.py --out runs/bench/rivals.json --run runs/quickstart --signal runs/signal/simulate/test
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from one_dimensional import RATE
from one_dimensional import SIGNALS as PUBLISHED
from one_dimensional import background as exponential
from power_of_statistics import background as mixture
from power_of_statistics import cluster
from scipy import stats
from table import Row, ends, row

from unseen import load, read
from unseen.power import Contender, Curve, PowerResult, Scan, ToyStore, power_result, run_scan
from unseen.power.ceiling import ceiling_contender, learned_ceiling
from unseen.power.crossing import crossing
from unseen.power.kernel import kernel_contender
from unseen.power.rival import Samples, rival_contender
from unseen.report.figures.power import power_figure
from unseen.report.style import hep_style
from unseen.rivals import RIVALS, Ceiling, choose
from unseen.search import KernelTest
from unseen.workers.threads import Threads

Floats = NDArray[np.float64]
SEED = 11
MOST_DRAWN = 8
BEYOND = 5  # null toys expected beyond Z = 2 of the costly tests: less than a power study asks for
TIMED = 32  # toys that the cost of one is measured with
# Tests that cost too much for all toys: null toys, pseudo-data at each injection.
FEWER = {"c2st": (1000, 50), "nplm_nn": (250, 20)}


@dataclass(frozen=True)
class Problem:
    """Samples, injections by signal, and log r of the ceiling where it is known."""

    name: str
    samples: Samples
    injections: Mapping[str, tuple[int, ...]]
    n_centers: int
    log_ratio: Mapping[str, Callable[[Floats], Floats]] = field(default_factory=dict)
    training: tuple[Floats, Mapping[str, Floats]] | None = None
    published: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


def one_dimensional() -> Problem:
    """N_R = 20,000 instead of 200,000, N = 2,000."""
    rng = np.random.default_rng(1)
    chosen = {"tail-bump": PUBLISHED[0], "broad-excess": PUBLISHED[3]}
    events = {name: s.sample(rng, 3000)[:, None] for name, s in chosen.items()}
    sizes = (1000, 20_000, 6000)
    parts = [exponential(rng, n)[:, None] for n in sizes]

    def ratio(density: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
        return lambda x: np.log(np.maximum(density(x[:, 0]), 1e-300)) - (np.log(RATE) - RATE * x[:, 0])

    return Problem(
        "1-d",
        Samples(parts[0], parts[1], parts[2], events, 2000.0),
        {"tail-bump": (2, 4, 7, 10, 14, 20, 30), "broad-excess": (30, 50, 75, 100, 140, 190, 260)},
        300,
        {name: ratio(s.density) for name, s in chosen.items()},
        published={name: [(s.events, s.kernel_z)] for name, s in chosen.items()},
    )


def four_dimensional() -> Problem:
    """Three clusters; N_R = 10,000, N = 1,000."""
    rng = np.random.default_rng(2)
    shapes = {"narrow-cluster": (-1.9, 0.3), "broad-excess": (0.8, 1.3)}
    events = {name: cluster(*shape)(rng, 3000) for name, shape in shapes.items()}
    parts = [mixture(rng, n) for n in (1000, 10_000, 4000)]

    def ratio(center: float, width: float) -> Callable[[Floats], Floats]:
        return lambda x: stats.norm.logpdf(x, center, width).sum(axis=1) - _log_mixture(x)

    return Problem(
        "4-d mixture",
        Samples(parts[0], parts[1], parts[2], events, 1000.0),
        {"narrow-cluster": (2, 4, 7, 10, 14, 20, 32), "broad-excess": (15, 30, 50, 75, 100, 140, 200)},
        300,
        {name: ratio(*shape) for name, shape in shapes.items()},
    )


def _log_mixture(x: Floats) -> Floats:
    centres = np.array([[0, 0, 0, 0], [3, 0, 1, 0], [0, 3, 0, -2]], dtype=np.float64)
    terms = [
        np.log(p) + stats.norm.logpdf(x, c, w).sum(axis=1)
        for p, c, w in zip((0.6, 0.3, 0.1), centres, (1.0, 0.5, 0.7), strict=True)
    ]
    found: Floats = np.logaddexp.reduce(terms)
    return found


def quickstart(run: Path, signal: Path) -> Problem:
    """A -> 4l in the embedding that `make quickstart` learned; N_R = 4,000, N = 400, the ceiling learned."""
    model = load(run / "train")
    pools = [np.load(run / "embed" / f"{name}.npz")["x"] for name in ("settings", "reference", "toys")]
    rows = np.random.default_rng(3).permutation(sum(len(pool) for pool in pools))
    x = np.concatenate(pools).astype(np.float64)[rows]
    z = model.embed(read(signal, schema=model.schema).of("ato4l")).astype(np.float64)
    half = len(z) // 2
    samples = Samples(x[:500], x[500:4500], x[4500:5700], {"a-4l": z[:half]}, 400.0)
    injections = {"a-4l": (2, 4, 7, 10, 14, 20, 32)}
    return Problem("quickstart", samples, injections, 300, training=(x[5700:], {"a-4l": z[half:]}))


def contenders(problem: Problem, signal: str, names: Sequence[str]) -> dict[str, Contender]:
    """Return the tests by name."""
    samples, injections = problem.samples, problem.injections[signal]
    found: dict[str, Contender] = {}
    for name in names:
        if name.startswith("kernel"):
            normalisation = name.removeprefix("kernel_")
            test = KernelTest(n_centers=problem.n_centers, normalisation=normalisation, seed=SEED)
            test.fit(samples.reference, expected=samples.expected, settings=samples.settings)
            kernel = kernel_contender(test, samples.pool, samples.signals, calibration="toys")
            found[name] = kernel
        elif name != "ceiling":
            found[name] = rival_contender(choose(name), samples)
        elif problem.training is None:
            ceiling = Ceiling(injections, problem.log_ratio[signal])
            found[name] = ceiling_contender({signal: ceiling}, injections, samples)
        else:
            background, signals = problem.training
            found[name] = learned_ceiling(samples, background, {signal: signals[signal]}, injections, SEED)
    return found


def compare(problem: Problem, names: Sequence[str], folder: Path, n_null: int, n_toys: int) -> list[Row]:
    """Throw all toys of a problem; print and return N_2 and N_3 of every test, and its time per toy."""
    rows: list[Row] = []
    threads = Threads(torch.get_num_threads())
    for signal, injections in problem.injections.items():
        best: dict[str, float] = {}
        curves: list[Curve] = []
        for name, one in contenders(problem, signal, names).items():
            null, toys = FEWER.get(name, (n_null, n_toys))
            scan = Scan((signal,), injections, toys, null, SEED, chunk=250)
            knows = f"{signal}-{'-'.join(map(str, injections))}"  # the others' null toys serve all signals
            own = knows if name == "ceiling" else ""
            store = ToyStore(folder / problem.name / own / name, {"benchmark": "rivals", "test": name})
            done = run_scan(scan, {name: one.candidate}, {name: True}, store, threads)
            milliseconds = cost(one)
            result = power_result(scan, {name: one}, done, {})
            for reading in one.readings:
                label = name if reading.name == "kernel" else reading.name
                curves.append(replace(result.curve(reading.name, signal), test=label))
                rows += report(problem, signal, label, curves[-1], milliseconds, best)
        draw(problem, signal, curves, folder.with_name(f"{folder.stem}-{problem.name.replace(' ', '-')}-{signal}.png"))
    return rows


def cost(one: Contender) -> float:
    """Return milliseconds of one core for a toy in all columns, without what toys share (features, neighbours)."""
    total = 0.0
    for column in range(one.candidate.columns):
        for n_toys in (1, TIMED):  # the first computes what is shared
            start = time.process_time()
            Threads(1).run(_throw, [(column, n_toys)], lambda job, result: None, shared=one)
            seconds = time.process_time() - start
        total += seconds
    return 1e3 * total / TIMED


def _throw(job: tuple[int, int], one: Contender) -> None:
    one.candidate.statistics(*job, 1, None, 0, None)


def draw(problem: Problem, signal: str, curves: Sequence[Curve], path: Path) -> None:
    """Write the figure of one signal: the best tests at half power, the ceiling among them."""
    order = sorted(curves, key=lambda curve: -sum(curve.power(2.0)))[:MOST_DRAWN]
    result = PowerResult(tuple(order), {"options": {"n_data": problem.samples.expected}})
    with hep_style("rivals"):
        power_figure(result, problem.published).savefig(path, dpi=160)


def report(
    problem: Problem, signal: str, label: str, curve: Curve, milliseconds: float, best: dict[str, float]
) -> list[Row]:
    """Print and return one test's line; ratios are to the first test that has the number."""
    title = f"{problem.name}, {signal}, {label}"
    words, rows = [], [row(f"{title}: core time per toy", milliseconds, "ms", None)]
    for c in (crossing(curve.injections, curve.found, level, beyond=BEYOND) for level in (2.0, 3.0)):
        key = f"N_{c.level:g}"
        if c.n is None:
            words.append(f"{key} unknown ({c.why})")
            continue
        words.append(f"{key} {c.n:6.1f} ({': '.join(part for part in (ends(c), c.why) if part)})")
        rows.append(row(f"{title}: {key} ({ends(c)})", c.n, "events", best.setdefault(key, c.n)))
    n_null, n_toys = curve.found[0].n_null, len(curve.found[0].p)
    print(f"{title:45s} {'; '.join(words)}; {milliseconds:.1f} ms; {n_null} null, {n_toys} each", flush=True)
    return rows


def main() -> None:
    """Run, print the tables and write them."""
    parser = argparse.ArgumentParser(description="The kernel test and its rivals on the same toys")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--null", type=int, default=2000)
    parser.add_argument("--toys", type=int, default=150)
    parser.add_argument("--run", type=Path, help="a finished quickstart run, for the third problem")
    parser.add_argument("--signal", type=Path, help="simulated A -> 4l events that the run has not seen")
    every = ["kernel_known", "kernel_free", "ceiling", *RIVALS]
    parser.add_argument("--tests", nargs="+", choices=every, default=every)
    parser.add_argument("--problems", nargs="*", choices=["1-d", "4-d"], default=["1-d", "4-d"])
    options = parser.parse_args()
    make: dict[str, Any] = {"1-d": one_dimensional, "4-d": four_dimensional}
    if options.run is not None and options.signal is not None:
        make["quickstart"] = lambda: quickstart(options.run, options.signal)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for name in [name for name in make if name in options.problems or name == "quickstart"]:
        rows += compare(make[name](), options.tests, options.out.with_suffix(".toys"), options.null, options.toys)
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
