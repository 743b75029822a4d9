"""The published one-dimensional study of the kernel test (arXiv:2204.02317), run with this package.

Background 8 exp(-8 x), 2000 expected events, reference of 200,000; three signals. The bump in the bulk appears twice:
the paper prints a width of 0.02, its ideal significance of 4.1 is that of 0.04. Prints a table and writes JSON:

    python benchmarks/one_dimensional.py --out one_dimensional.json
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats

from unseen.search.compute import Compute
from unseen.search.features import Features
from unseen.search.loss import make_batch
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import Shared
from unseen.search.settings import Settings, freeze
from unseen.search.statistic import LinearForm, fit_batch, require_convergence, shared_factor
from unseen.search.subsets import random_parts

Floats = NDArray[np.float64]

RATE = 8.0
EXPECTED = 2000
N_REFERENCE = 200_000
N_UNION = 600_000  # simulated events from which every toy draws its reference and its background
SIGMA = 0.3
PENALTY = 1e-10
KNOWN = Normalisation.parse("known")
COMPUTE = Compute(2.0**31, torch.float64)  # a penalty of 1e-10 asks for directions that float32 cannot hold
TOYS_PER_BATCH = 32
PUBLISHED_NULL_MEAN = 9.6
STATISTICS = ("one_step", "converged")


@dataclass(frozen=True)
class Signal:
    """A signal: expected events, density, sampler, and the published median Z of the kernel and the ideal test."""

    name: str
    events: float
    density: Callable[[Floats], Floats]
    sample: Callable[[np.random.Generator, int], Floats]
    kernel_z: float
    ideal_z: float


def _bump(at: float, width: float) -> tuple[Callable[[Floats], Floats], Callable[[np.random.Generator, int], Floats]]:
    return lambda x: stats.norm.pdf(x, at, width), lambda rng, n: rng.normal(at, width, n)


SIGNALS = (
    Signal("tail bump", 10, *_bump(0.8, 0.02), 2.43, 4.7),
    Signal("bulk bump 0.02", 90, *_bump(0.2, 0.02), 2.82, 4.1),
    Signal("bulk bump 0.04", 90, *_bump(0.2, 0.04), 2.82, 4.1),
    Signal(
        "broad excess",
        90,
        lambda x: 256.0 * x**2 * np.exp(-RATE * x),
        lambda rng, n: rng.gamma(3.0, 1.0 / RATE, n),
        3.04,
        4.4,
    ),
)


def background(rng: np.random.Generator, n: int) -> Floats:
    """Return n events of the density 8 exp(-8 x)."""
    return rng.exponential(1.0 / RATE, n)


def ideal_z(signal: Signal) -> float:
    """Return the median Z of the Neyman-Pearson test: the extended likelihood ratio of the signal that is there.

    sum_D log(1 + s/b) is a compound Poisson variable with and without signal: its exact distribution is the inverse
    Fourier transform of exp(rate * (characteristic function of one event - 1)).
    """
    x = np.linspace(0.0, 6.0, 2_000_001)
    dx = x[1] - x[0]
    b = EXPECTED * RATE * np.exp(-RATE * x) * dx
    s = signal.events * signal.density(x) * dx
    v = np.log1p(s / b)
    null, alternative = _compound_poisson(v, b), _compound_poisson(v, b + s)
    median = int(np.searchsorted(np.cumsum(alternative), 0.5))
    return float(stats.norm.isf(null[median:].sum()))


def _compound_poisson(v: Floats, rate: Floats, step: float = 1e-3, bins: int = 2**19) -> Floats:
    """Return the probabilities of sum v on a grid; each v is shared between its two neighbours, keeping its mean."""
    at, share = np.divmod(v / step, 1.0)
    index = at.astype(np.int64)
    measure = np.bincount(index, rate * (1.0 - share), bins) + np.bincount(index + 1, rate * share, bins)
    result: Floats = np.fft.irfft(np.exp(np.fft.rfft(measure) - rate.sum()), bins)
    return result


def fitted_freedom(t: Floats) -> float:
    """Return the degrees of freedom of the chi-squared distribution that fits the positive t best (likelihood)."""
    positive = t[t > 0]
    best = optimize.minimize_scalar(
        lambda k: -stats.chi2.logpdf(positive, k).sum(), bounds=(0.5, 200.0), method="bounded"
    )
    return float(best.x)


class Study:
    """One choice of M: features of a union of background events, from which toys draw reference and background."""

    def __init__(self, n_centers: int, seed: int, modes: Sequence[str] = STATISTICS) -> None:
        rng = np.random.default_rng([seed, n_centers])
        apart = background(rng, n_centers)[:, None]
        self.settings: Settings = freeze(apart, np.ones(n_centers), SIGMA, n_centers, False, None, rng)
        self.seed, self.modes = seed, tuple(modes)
        self.union = self._features(background(rng, N_UNION))
        weights = torch.full((N_UNION,), EXPECTED / N_UNION, dtype=torch.float64)
        n = N_REFERENCE + EXPECTED
        factor = shared_factor(self.union.second_moment(weights), n, PENALTY, KNOWN)
        self.form = LinearForm(factor, n * PENALTY, intercept=False)

    def _features(self, x: Floats) -> Features:
        return Features(self.settings.maps[0], self.settings.scale(x[:, None]), COMPUTE)

    def statistics(self, n_toys: int, stream: int, signal: Signal | None) -> dict[str, Floats]:
        """Return t (n_toys,) of every statistic; reference, background and signal are redrawn for every toy."""
        out: dict[str, list[Floats]] = {mode: [] for mode in self.modes}
        for start in range(0, n_toys, TOYS_PER_BATCH):
            phi, code = self._draw(range(start, min(start + TOYS_PER_BATCH, n_toys)), stream, signal)
            weights = torch.ones(len(phi), dtype=torch.float64)
            expected = torch.full((len(code),), float(EXPECTED), dtype=torch.float64)
            for mode in self.modes:
                batch = make_batch(phi, code, weights, expected, KNOWN, PENALTY, quadratic=mode == "one_step")
                fit = fit_batch(batch, Shared(self.form.factor), self.form, mode)
                require_convergence(fit, "toys")
                out[mode].append(fit.t.numpy())
        return {mode: np.concatenate(t) for mode, t in out.items()}

    def _draw(self, toys: range, stream: int, signal: Signal | None) -> tuple[Features, torch.Tensor]:
        """Return the features of the union and of the signals of all `toys`, and what each event is in each toy."""
        codes, signals = [], []
        for toy in toys:
            rng = np.random.default_rng([self.seed, stream, toy])
            codes.append(random_parts(rng, N_UNION, int(rng.poisson(EXPECTED)), N_REFERENCE))
            if signal is not None:
                signals.append(signal.sample(rng, max(1, rng.poisson(signal.events))))
        code = np.stack(codes)
        if signal is None:
            return self.union, torch.from_numpy(code)
        owner = np.repeat(np.arange(len(toys)), [len(events) for events in signals])
        of_signal = -(owner == np.arange(len(toys))[:, None]).astype(np.int8)
        phi = self.union.join(self._features(np.concatenate(signals)))
        return phi, torch.from_numpy(np.concatenate([code, of_signal], axis=1))


def run(
    n_centers: int,
    n_null: int,
    n_signal: int,
    seed: int = 0,
    modes: Sequence[str] = STATISTICS,
    without: Sequence[str] = (),
) -> list[dict[str, object]]:
    """Return rows (name, value, unit, baseline, ratio): null means and median Z of each statistic and signal.

    Signals named in `without` are left out; the others keep their numbers.
    """
    study = Study(n_centers, seed, modes)
    rows = []
    null = study.statistics(n_null, 0, None)
    freedom = {mode: fitted_freedom(t) for mode, t in null.items()}
    for mode, t in null.items():
        name = f"M={n_centers} {mode}"
        rows += [
            _row(f"{name} null mean t", float(t.mean()), "", PUBLISHED_NULL_MEAN),
            _row(f"{name} null median t", float(np.median(t)), "", None),
            _row(f"{name} null smallest t", float(t.min()), "", None),
            _row(f"{name} null standard deviation of t", float(t.std(ddof=1)), "", None),
            _row(f"{name} fitted chi-squared degrees of freedom", freedom[mode], "", None),
        ]
    for stream, signal in enumerate(SIGNALS, start=1):
        if signal.name in without:
            continue
        for mode, t in study.statistics(n_signal, stream, signal).items():
            z = stats.norm.isf(stats.chi2.sf(np.median(t), freedom[mode]))
            name = f"M={n_centers} {mode} {signal.name} median Z (fitted chi-squared)"
            rows.append(_row(name, float(z), "sigma", signal.kernel_z))
    return rows


def _row(name: str, value: float, unit: str, baseline: float | None) -> dict[str, object]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "ratio": None if baseline is None else value / baseline,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def main() -> None:
    """Run the study, print its table and write it."""
    parser = argparse.ArgumentParser(description="One-dimensional study of arXiv:2204.02317")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--centers", type=int, nargs="+", default=[3000, 500])
    parser.add_argument("--null", type=int, default=300)
    parser.add_argument("--signal", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--statistics", nargs="+", choices=STATISTICS, default=list(STATISTICS))
    options = parser.parse_args()
    rows = [_row(f"ideal {s.name} median Z (exact)", ideal_z(s), "sigma", s.ideal_z) for s in SIGNALS]
    for n_centers in options.centers:
        start = time.perf_counter()
        rows += run(n_centers, options.null, options.signal, options.seed, options.statistics)
        rows.append(_row(f"M={n_centers} wall-clock time", time.perf_counter() - start, "s", None))
    for row in rows:
        print(f"{row['name']:72s} {row['value']:10.4f} {row['unit']:6s} published {row['baseline']}")
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
