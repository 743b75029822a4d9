"""An imperfect reference in one dimension: the setting of arXiv:2111.13633 with the kernel test of this package.

Background 8 exp(-8 x), 2000 expected events, a reference of 200,000; the scale of x and the yield are known to 5 %:
x -> x exp(0.05 nu), yield 2000 exp(0.05 nu). The search's log r is exact for the yield and of second order for the
scale; or it is learned (`--learned`). Data are *distorted*, not drawn by that log r, so its closure is in the result.
nu and its auxiliary measurement are thrown as the prior says, or nu is held at -2, ..., 2. Every batch of toys has a
reference of its own. Prints a table and writes JSON:

    python benchmarks/imperfect_machine.py --out imperfect_machine.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from one_dimensional import EXPECTED, N_REFERENCE, RATE, SIGNALS, Signal, background, fitted_freedom
from scipy import integrate, stats
from table import Row, row

from unseen.search import RatioCoefficients
from unseen.search.compute import Compute
from unseen.search.features import Features
from unseen.search.loss import make_batch
from unseen.search.normalisation import Normalisation
from unseen.search.profile_fit import joint_factor, profile
from unseen.search.profile_growth import growth_factor, mean_growth
from unseen.search.profile_nuisances import Nuisances
from unseen.search.profile_ratio import coefficients_for
from unseen.search.settings import freeze
from unseen.search.subsets import random_subset
from unseen.systematics import Block, DensityRatio, RatioSamples, fit_kernel_ratio

Floats = NDArray[np.float64]
KNOWN = Normalisation.parse("known")
COMPUTE = Compute(2.0**31, torch.float64)
SIZE = 0.05  # of one standard deviation, of scale and yield alike
TRUE = (-2.0, -1.0, 0.0, 1.0, 2.0)
ALPHA = 0.05
TOYS_PER_BATCH = 25


@dataclass(frozen=True)
class Case:
    """Which nuisance parameters the detector has, and whether the statistic profiles them."""

    names: tuple[str, ...]
    profiled: bool = True

    def __str__(self) -> str:
        return " and ".join(self.names) + (", profiled" if self.profiled else ", ignored")

    def delta(self, x: Floats) -> RatioCoefficients:
        """Return the coefficients of log r to second order; a parameter without an effect where nu is ignored."""
        n, k = len(x), len(self.names)
        if not self.profiled:
            return RatioCoefficients(np.zeros((n, k)), None, self.names)
        u = RATE * x[:, 0]
        linear = np.column_stack([SIZE * (u - 1.0) if name == "scale" else np.full(n, SIZE) for name in self.names])
        quadratic = np.zeros((n, k, k))
        if "scale" in self.names:
            quadratic[:, 0, 0] = -0.5 * SIZE**2 * u
        return RatioCoefficients(linear, quadratic if "scale" in self.names else None, self.names)

    def distort(self, x: Floats, nu: Floats) -> Floats:
        """Return events x of the nominal detector as the one at nu (k,) sees them."""
        return x * np.exp(SIZE * nu[0]) if "scale" in self.names else x

    def events(self, nu: Floats) -> float:
        """Return the expected number of background events at nu (k,)."""
        return EXPECTED * float(np.exp(SIZE * nu[-1])) if "yield" in self.names else float(EXPECTED)


NUISANCES = {"scale": ("scale",), "yield": ("yield",), "both": ("scale", "yield")}


@dataclass(frozen=True)
class Options:
    """Sizes of the test and numbers of toys."""

    reference: int
    centers: int
    width: float
    penalty: float
    seed: int


def learned(case: Case, n: int, seed: int) -> DensityRatio:
    """Return log r learned from n nominal events and the same ones at random nu."""
    rng = np.random.default_rng([seed, 2])
    x, nu = background(rng, n), rng.uniform(-3.0, 3.0, (n, len(case.names)))
    moved = x * np.exp(SIZE * nu[:, 0]) if "scale" in case.names else x
    weights = np.exp(SIZE * nu[:, -1]) if "yield" in case.names else None
    event = np.arange(n)
    block = Block(nu, moved, weights, event=event, nominal_nu=nu)
    samples = RatioSamples.of(x, [block], case.names, event=event)
    return fit_kernel_ratio(samples, case.names, n_centers=200, rank=30, seed=seed)


class Study:
    """One case: features of a union of background events, from which every batch of toys draws its reference."""

    def __init__(self, case: Case, options: Options, ratio: DensityRatio | None = None, corrects: bool = True) -> None:
        """Take log r from `ratio`, or from the case; t for the growth of its mean with nu as it is, or corrected."""
        self.delta = case.delta if ratio is None else ratio
        rng = np.random.default_rng([options.seed, 0])
        apart = background(rng, options.centers)[:, None]
        union = background(rng, 3 * options.reference)[:, None]
        settings = freeze(apart, np.ones(len(apart)), options.width, options.centers, False, None, rng)
        weights = np.full(len(union), EXPECTED / len(union))
        settings = settings.truncate(union[: options.reference], weights, EXPECTED, options.penalty, 0.01)
        self.case, self.options, self.map = case, options, settings.maps[0]
        self.nuisances = Nuisances.of(coefficients_for("the union", self.delta, union), KNOWN)
        self.union = self._features(union)
        moment = self.union.second_moment(torch.from_numpy(weights))
        ridge = 2.0 * (options.reference + EXPECTED) * options.penalty
        self.factor = joint_factor(moment, ridge, self.nuisances.n_columns)
        # The search takes this from its one reference; here every batch has another, all from the union.
        few = union[: options.reference]
        psi, equal = self._columns(few), np.full(len(few), EXPECTED / len(few))
        phi = Features(self.map, few, COMPUTE, beside=psi)
        self.growth = mean_growth(phi, psi, equal, self.nuisances, ridge) if corrects else None

    def _columns(self, x: Floats) -> Floats:
        return self.nuisances.columns("events", coefficients_for("events", self.delta, x))

    def _features(self, x: Floats) -> Features:
        return Features(self.map, x, COMPUTE, beside=self._columns(x))

    def statistics(self, n_toys: int, stream: int, nu: float | None = None, signal: Signal | None = None) -> Floats:
        """Return t (n_toys,) of toys with all parameters at `nu`, thrown for None; `signal` comes on top."""
        starts = range(0, n_toys, TOYS_PER_BATCH)
        batches = [self._batch(range(i, min(i + TOYS_PER_BATCH, n_toys)), stream, nu, signal) for i in starts]
        return np.concatenate(batches)

    def _batch(self, toys: range, stream: int, nu: float | None, signal: Signal | None) -> Floats:
        drawn = [self._draw(toy, stream, nu, signal) for toy in toys]
        rng = np.random.default_rng([self.options.seed, stream, toys[0], 1])
        n = self.options.reference
        reference = self.union.take(np.flatnonzero(random_subset(rng, len(self.union), n)))
        phi = reference.join(self._features(np.concatenate([x for x, _ in drawn])))
        owner = np.repeat(np.arange(len(toys)), [len(x) for x, _ in drawn])
        own = -(owner == np.arange(len(toys))[:, None]).astype(np.int8)
        code = torch.from_numpy(np.concatenate([np.ones((len(toys), n), dtype=np.int8), own], axis=1))
        weights = torch.ones(len(phi), dtype=torch.float64)
        expected = torch.full((len(toys),), float(EXPECTED), dtype=torch.float64)
        batch = make_batch(phi, code, weights, expected, KNOWN, self.options.penalty)
        fit = profile(batch, self.nuisances, torch.from_numpy(np.stack([a for _, a in drawn])), self.factor)
        if not bool(fit.converged.all()):
            raise RuntimeError(f"{int((~fit.converged).sum())} of {len(toys)} toys did not converge ({self.case})")
        return (fit.t if self.growth is None else fit.t * growth_factor(fit.nu_null, self.growth)).numpy()

    def _draw(self, toy: int, stream: int, nu: float | None, signal: Signal | None) -> tuple[Floats, Floats]:
        """Return data (n, 1) and auxiliary measurements (k,) of one toy."""
        rng = np.random.default_rng([self.options.seed, stream, toy])
        k = len(self.case.names)
        true = rng.normal(size=k) if nu is None else np.full(k, nu)
        x = self.case.distort(background(rng, rng.poisson(self.case.events(true))), true)
        auxiliary = true + rng.normal(size=k)
        if signal is not None:
            x = np.concatenate([x, signal.sample(rng, max(1, rng.poisson(signal.events)))])
        return x[:, None], auxiliary


def second_order(x: Floats, nu: float) -> Floats:
    """Return log r of the scale to second order (n,)."""
    return Case(("scale",)).delta(x).log_ratio([nu])


def closure(log_ratio: Callable[[Floats, float], Floats], nu: float) -> tuple[float, float]:
    """Return what log r of the scale misses at nu: the largest for x <= 1.5, and N times its mean square."""
    u = np.linspace(0.0, 40.0, 40_001)
    missed = log_ratio((u / RATE)[:, None], nu) - (-SIZE * nu + u * -np.expm1(-SIZE * nu))
    within = np.abs(missed[u <= 1.5 * RATE]).max()
    return float(within), EXPECTED * float(integrate.trapezoid(missed**2 * np.exp(-u), u))


def closure_rows(title: str, log_ratio: Callable[[Floats, float], Floats]) -> list[Row]:
    rows = []
    for nu in (1.0, 2.0):
        largest, cost = closure(log_ratio, nu)
        rows.append(row(f"{title} log r, scale at nu = {nu:g}: largest error for x <= 1.5", largest, ""))
        rows.append(row(f"{title} log r, scale at nu = {nu:g}: N times mean square error", cost, ""))
    return rows


def rates(study: Study, null: Floats, n_toys: int, what: str = "") -> list[Row]:
    """Return the rate of p < 0.05 at every true nu."""
    threshold = np.quantile(null, 1.0 - ALPHA)
    found = [study.statistics(n_toys, 10 + i, nu) for i, nu in enumerate(TRUE)]
    return [
        row(f"{study.case}{what}: rate of p < 0.05 at nu = {nu:g}", float(np.mean(t > threshold)), "", ALPHA)
        for nu, t in zip(TRUE, found, strict=True)
    ]


def power(study: Study, null: Floats, n_toys: int, nu: float | None, title: str) -> list[Row]:
    """Return the median Z (chi-squared fitted to the null, as in the papers) and the power of every signal."""
    freedom, threshold, rows = fitted_freedom(null), np.quantile(null, 1.0 - ALPHA), []
    for stream, signal in enumerate(SIGNALS, start=20):
        t = study.statistics(n_toys, stream, nu, signal)
        z = float(stats.norm.isf(stats.chi2.sf(np.median(t), freedom)))
        rows.append(row(f"{title}, {signal.name}: median Z (fitted chi-squared)", z, "sigma"))
        rows.append(row(f"{title}, {signal.name}: rate of p < 0.05", float(np.mean(t > threshold)), ""))
    return rows


def null_rows(title: str, t: Floats, seconds: float) -> list[Row]:
    return [
        row(f"{title}: null mean t", float(t.mean()), ""),
        row(f"{title}: null standard deviation of t", float(t.std(ddof=1)), ""),
        row(f"{title}: fitted chi-squared degrees of freedom", fitted_freedom(t), ""),
        row(f"{title}: processor time of one null toy", seconds / len(t), "s"),
    ]


def timed_null(study: Study, n_toys: int, nu: float | None, title: str) -> tuple[Floats, list[Row]]:
    start = time.process_time()
    null = study.statistics(n_toys, 1 if nu is None else 2, nu)
    return null, null_rows(title, null, time.process_time() - start)


def run_rates(names: tuple[str, ...], options: Options, n_null: int, n_toys: int) -> list[Row]:
    """Return the null of the profiled statistic and the rates at every true nu, nothing else."""
    study = Study(Case(names), options)
    null, rows = timed_null(study, n_null, None, str(study.case))
    return rows + rates(study, null, n_toys)


def run(names: tuple[str, ...], options: Options, known: Floats, n_null: int, n_toys: int) -> list[Row]:
    """Return the null of the profiled statistic, and the rates at every true nu, ignored ones beside it.

    `known` is the null of the statistic that ignores nu, at nu = 0.
    """
    profiled, ignored = Study(Case(names), options), Study(Case(names, profiled=False), options)
    thrown, rows = timed_null(profiled, n_null, None, str(profiled.case))
    rows += rates(profiled, thrown, n_toys) + rates(ignored, known, n_toys // 2)
    if names != NUISANCES["both"]:
        return rows
    honest, more = timed_null(ignored, n_null, None, f"{ignored.case}, toys at thrown nu")
    rows += more + power(ignored, known, n_toys, 0.0, "nu known")
    rows += power(profiled, thrown, n_toys, None, str(profiled.case))
    return rows + power(ignored, honest, n_toys, None, f"{ignored.case}, toys at thrown nu")


def report(rows: list[Row]) -> list[Row]:
    for line in rows:
        print(f"{line['name']:88s} {line['value']:12.5f} {line['unit']:6s}", flush=True)
    return rows


def run_learned(n_events: int, options: Options, n_null: int, n_toys: int) -> list[Row]:
    """Return closure, null and rates of the scale with a learned log r."""
    case = Case(("scale",))
    ratio = learned(case, n_events, options.seed)
    rows = closure_rows(f"from {n_events} events,", lambda x, nu: ratio.log_ratio(x, [nu]))
    study = Study(case, options, ratio)
    null, more = timed_null(study, n_null, None, f"{case}, learned")
    return rows + more + rates(study, null, n_toys, ", learned")


def main() -> None:
    """Run the study, print its table and write it."""
    parser = argparse.ArgumentParser(description="One-dimensional study of arXiv:2111.13633")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reference", type=int, default=N_REFERENCE)
    parser.add_argument("--centers", type=int, default=500)
    parser.add_argument("--width", type=float, default=0.3)
    parser.add_argument("--penalty", type=float, default=1e-8)
    parser.add_argument("--null", type=int, default=1000)
    parser.add_argument("--toys", type=int, default=400)
    parser.add_argument("--learned", type=int, default=0, help="learn log r of the scale from so many events instead")
    parser.add_argument("--rates", action="store_true", help="only the profiled rates: many toys in little time")
    parser.add_argument("--nuisances", nargs="+", choices=list(NUISANCES), default=list(NUISANCES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    options = Options(given.reference, given.centers, given.width, given.penalty, given.seed)
    if given.learned:
        rows = report(run_learned(given.learned, options, given.null, given.toys))
        given.out.write_text(json.dumps(rows, indent=2) + "\n")
        return
    rows = report(closure_rows("second order", second_order))
    if given.rates:
        for name in given.nuisances:
            rows += report(run_rates(NUISANCES[name], options, given.null, given.toys))
        given.out.write_text(json.dumps(rows, indent=2) + "\n")
        return
    known, more = timed_null(Study(Case(NUISANCES["both"], profiled=False), options), given.null, 0.0, "nu known")
    rows += report(more)
    for name in given.nuisances:
        rows += report(run(NUISANCES[name], options, known, given.null, given.toys))
    given.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
