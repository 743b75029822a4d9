"""What the choices of a search cost in power: statistics, widths and their combinations, and the truncated rank.

Four-dimensional mixture, N_R = 20,000, N = 2,000, three signals. The null has its own toys for each statistic; every
data set with signal has its own reference. N_3 is the number of signal events at which the median Z is 3, by
interpolation between injections, with the interval that 68 % of bootstrap samples of the data sets give. Z up to the
toys' reach comes from ranks. Prints tables, writes JSON:

    python benchmarks/power_of_statistics.py --out runs/bench/power.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from unseen.search import COMBINATIONS, KernelTest, Null
from unseen.search.parallel import blockwise

Floats = NDArray[np.float64]
N_REFERENCE, EXPECTED, CENTERS = 20_000, 2_000, 300


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
    "cluster in the tail": (cluster(-1.9, 0.3), (6, 10, 16, 26)),
    "narrow cluster in the bulk": (cluster(0.0, 0.25), (20, 35, 55, 80)),
    "broad excess": (cluster(0.8, 1.3), (60, 100, 150, 220)),
}


def statistics_of(test: KernelTest, rng: np.random.Generator, data: Floats, modes: tuple[str, ...]) -> list[Floats]:
    """Return t (n_widths,) in each mode of data against a reference of their own."""
    fitted = test._need_fit()
    z = fitted.settings.scale(background(rng, N_REFERENCE))
    own = replace(fitted, z=z, weights=np.full(N_REFERENCE, EXPECTED / N_REFERENCE), _held={})
    d = fitted.settings.scale(data)
    n = len(fitted.settings.widths)
    with blockwise():
        return [np.array([float(own.fit(k, d, mode)[0].t) for k in range(n)]) for mode in modes]


def z_of_rank(observed: Floats, toys: Floats) -> Floats:
    """Return Z of every observed value from its rank among the toys."""
    above = len(toys) - np.searchsorted(np.sort(toys), observed, side="left")
    result: Floats = stats.norm.isf((above + 1) / (len(toys) + 1))
    return result


def z_of_gamma(observed: Floats, toys: Floats) -> Floats:
    """Return Z from a gamma distribution with the toys' moments: beyond their reach a comparison, not a calibration."""
    mean, variance = toys.mean(), toys.var()
    log_p = stats.gamma.logsf(observed, mean**2 / variance, scale=variance / mean)
    result: Floats = stats.norm.isf(np.exp(np.maximum(log_p, -700.0)))
    return result


def crossing(injected: tuple[int, ...], z: list[Floats]) -> tuple[float, float, float]:
    """Return N_3 and its interval from Z of the data sets at each injection; NaN where 3 is not bracketed."""
    rng = np.random.default_rng(0)

    def at_three(samples: list[Floats]) -> float:
        medians = np.maximum.accumulate([float(np.median(s)) for s in samples])
        if not medians[0] < 3.0 < medians[-1]:
            return float("nan")
        return float(np.interp(3.0, medians, injected))

    draws = [at_three([rng.choice(s, len(s)) for s in z]) for _ in range(400)]
    low, high = np.nanpercentile(draws, [16, 84]) if not np.isnan(draws).all() else (float("nan"), float("nan"))
    return at_three(z), float(low), float(high)


def study(n_toys: int, n_sets: int, tolerance: float, modes: tuple[str, ...]) -> list[dict[str, object]]:
    """Measure N_3 for every statistic, width and combination at one rank tolerance."""
    rng = np.random.default_rng(5)
    settings, reference, pool = background(rng, 1000), background(rng, N_REFERENCE), background(rng, N_REFERENCE)
    nulls: dict[str, Null] = {}
    for mode in modes:
        test = KernelTest(n_centers=CENTERS, penalty=1e-6, statistic=mode, rank_tolerance=tolerance, seed=3)
        test.fit(reference, expected=EXPECTED, settings=settings)
        nulls[mode] = test.calibrate(pool, method="linear" if mode == "linear" else "toys", n_toys=n_toys)
    print(f"rank tolerance {tolerance:g}: ranks {[m.rank for m in test._need_fit().settings.maps]}", flush=True)
    rows = []
    for name, (signal, injected) in SIGNALS.items():
        t: dict[str, list[Floats]] = {mode: [] for mode in modes}
        for n_signal in injected:
            sets: dict[str, list[Floats]] = {mode: [] for mode in modes}
            for i in range(n_sets):
                own = np.random.default_rng([11, n_signal, i])
                data = np.vstack([background(own, own.poisson(EXPECTED)), signal(own, n_signal)])
                for mode, value in zip(modes, statistics_of(test, own, data, modes), strict=True):
                    sets[mode].append(value)
            for mode in modes:
                t[mode].append(np.array(sets[mode]))
        for mode in modes:
            rows += report(f"{name}, tolerance {tolerance:g}, {mode}", injected, t[mode], nulls[mode])
    return rows


def report(name: str, injected: tuple[int, ...], t: list[Floats], null: Null) -> list[dict[str, object]]:
    """Print and return N_3 of each width and of each combination, and the median Z of the best width."""
    n_widths = null.t.shape[1]
    z = {f"width {k}": [z_of_rank(s[:, k], null.t[:, k]) for s in t] for k in range(n_widths)}
    for combination in COMBINATIONS:
        combined = replace(null, combination=combination)
        z[combination] = [np.array([combined.p_value(row).z for row in s]) for s in t]
    three = {label: crossing(injected, values) for label, values in z.items()}
    alone = [three[f"width {k}"][0] for k in range(n_widths)]
    best = int(np.nanargmin(alone)) if not np.isnan(alone).all() else 0
    print(f"{name}: N_3 alone {[round(v, 1) for v in alone]}, best width {best}")
    rows = []
    for label, (value, low, high) in three.items():
        rows.append(row(f"{name}, {label}: N_3 ({low:.1f} to {high:.1f})", value, "events", alone[best]))
        if label in COMBINATIONS:
            ratio = value / alone[best]
            print(f"   {label:14s} N_3 {value:6.1f} ({low:.1f} to {high:.1f}), {ratio:.2f} of the best width")
    medians = [float(np.median(z_of_gamma(s[:, best], null.t[:, best]))) for s in t]
    print(f"   best width, median Z by gamma at {injected}: {[round(v, 2) for v in medians]}", flush=True)
    for n, median in zip(injected, medians, strict=True):
        rows.append(row(f"{name}, width {best}, {n} events: median Z by gamma", median, "", None))
    return rows


def row(name: str, value: float, unit: str, baseline: float | None) -> dict[str, object]:
    """One line of the table; `ratio` is value over baseline."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    ratio = None if baseline is None else value / baseline
    return {"name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio, "machine": machine}


def main() -> None:
    """Run, print the tables and write them."""
    parser = argparse.ArgumentParser(description="Power of statistics, widths, combinations and truncation")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toys", type=int, default=2000)
    parser.add_argument("--sets", type=int, default=60)
    options = parser.parse_args()
    rows = study(options.toys, options.sets, 0.01, ("converged", "one_step", "linear"))
    rows += study(options.toys, options.sets, 0.0, ("converged",))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
