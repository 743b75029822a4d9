"""What a toy costs: batched refits of this package against a plain dense Newton fit of the same loss, in one run.

Four-dimensional Gaussian mixture, seven automatic widths. The baseline is a Newton fit of each toy with its own
Hessian, float64 numpy, nothing truncated and nothing shared but the features. Prints a table, writes JSON:

    python benchmarks/toys.py --out runs/bench/toys.json
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from table import Row, row

from unseen.search import KernelTest
from unseen.search.toys import plan_toys

Floats = NDArray[np.float64]
PENALTY = 1e-6


def mixture(rng: np.random.Generator, n: int) -> Floats:
    """Three Gaussian clusters in four dimensions, (n, 4)."""
    centres = np.array([[0, 0, 0, 0], [3, 0, 1, 0], [0, 3, 0, -2]], dtype=np.float64)
    widths = np.array([1.0, 0.5, 0.7])
    k = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return centres[k] + widths[k, None] * rng.normal(size=(n, 4))


def whitened(k: Floats, k_mm: Floats) -> Floats:
    """Features (n, r) in which the penalty is a unit matrix: every direction of K_MM above its rounding error."""
    values, vectors = np.linalg.eigh(k_mm)
    kept = values > len(values) * values[-1] * np.finfo(np.float64).eps
    result: Floats = k @ (vectors[:, kept] / np.sqrt(values[kept]))
    return result


def dense_t(phi_r: Floats, phi_d: Floats, weight: float, penalty: float = PENALTY) -> float:
    """Return the converged t of one data set: damped Newton from zero with its own Hessian (arXiv:2204.02317)."""
    phi, n = np.concatenate([phi_r, phi_d]), len(phi_r) + len(phi_d)
    w = np.concatenate([np.full(len(phi_r), weight), np.ones(len(phi_d))])
    is_data = np.concatenate([np.zeros(len(phi_r)), np.ones(len(phi_d))])
    b, ridge = np.zeros(phi.shape[1]), n * penalty

    def loss(b: Floats) -> float:
        f = phi @ b
        return float(np.sum(w * (np.logaddexp(0.0, f) - is_data * f)) + 0.5 * ridge * b @ b)

    for _ in range(100):
        s = 1.0 / (1.0 + np.exp(-(phi @ b)))
        gradient = phi.T @ (w * (s - is_data)) + ridge * b
        hessian = phi.T @ (phi * (w * s * (1 - s))[:, None]) + ridge * np.eye(len(b))
        step, length = np.linalg.solve(hessian, gradient), 1.0
        if float(gradient @ step) < 1e-12:
            break
        while loss(b - length * step) > loss(b) and length > 1e-6:
            length *= 0.5
        b = b - length * step
    f = phi @ b
    return float(2.0 * (f[len(phi_r) :].sum() - weight * np.expm1(f[: len(phi_r)]).sum()))


def run(n_reference: int, n_data: int, n_centers: int, toys: int, baseline_toys: int) -> list[Row]:
    """Time `toys` toys with KernelTest and `baseline_toys` of the same ones densely, at every automatic width."""
    rng = np.random.default_rng(1)
    reference, pool = mixture(rng, n_reference), mixture(rng, 2 * n_data + 200)
    settings = mixture(rng, n_centers)
    start = time.perf_counter()
    test = KernelTest(n_centers=n_centers, penalty=PENALTY, seed=1).fit(reference, expected=n_data, settings=settings)
    null = test.calibrate(pool, n_toys=toys, seed=1)
    ours = (time.perf_counter() - start) / toys
    widths = test.statistic(pool[:n_data]).widths
    union = (np.concatenate([reference, pool]) - settings.mean(0)) / settings.std(0)
    centres = (settings - settings.mean(0)) / settings.std(0)
    plan = plan_toys(toys, float(n_data), len(reference), len(pool), "redrawn", 1, None)
    worst, start = 0.0, time.perf_counter()
    for i, sigma in enumerate(widths):
        phi = whitened(kernel(union, centres, sigma), kernel(centres, centres, sigma))
        for toy in range(baseline_toys):
            rows_r, rows_d = plan.rows(toy)
            t = dense_t(phi[rows_r], phi[rows_d], n_data / len(reference))
            worst = max(worst, abs(t - null.t[toy, i]) / float(null.t[:, i].std()))
    dense = (time.perf_counter() - start) / baseline_toys
    name = f"N_R={n_reference} N_D={n_data} M={n_centers} seven widths"
    return [
        row(f"{name}: one toy, {toys} toys", ours, "s", dense),
        row(f"{name}: largest |delta t| against the baseline", worst, "null standard deviations", None),
        row("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "GiB", None),
    ]


def kernel(x: Floats, centres: Floats, sigma: float) -> Floats:
    """Gaussian kernel (n, M)."""
    square = (x**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * x @ centres.T
    result: Floats = np.exp(-np.maximum(square, 0.0) / (2 * sigma**2))
    return result


def main() -> None:
    """Run, print the table and write it."""
    parser = argparse.ArgumentParser(description="Time of a toy against a dense Newton fit")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toys", type=int, default=256)
    parser.add_argument("--baseline-toys", type=int, default=3)
    parser.add_argument("--centers", type=int, nargs="+", default=[300, 1000])
    options = parser.parse_args()
    rows = [r for m in options.centers for r in run(5000, 500, m, options.toys, options.baseline_toys)]
    for r in rows:
        print(f"{r['name']:75s} {r['value']:.4g} {r['unit']} baseline {r['baseline']} ratio {r['ratio']}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
