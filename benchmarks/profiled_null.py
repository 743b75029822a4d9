"""Where does the analytic null of the profiled test hold, and what spoils it elsewhere?

A Gaussian in one or four dimensions whose mean shifts with one nuisance parameter; 2,000 expected events and a
reference of 20,000 unless said. For every width, penalty and size: t of toys and, for the same toys, its quadratic
approximation s' S^-1 s (unseen.search.profile_null). The analytic null is what the second would follow if s were
Gaussian. Where the quadratic t of toys follows it and the converged t does not, the likelihood is not quadratic; where
the quadratic one does not follow either, s is not Gaussian. All toys are at nu = 0, around which that approximation is
made. Prints a table, writes JSON:

    python benchmarks/profiled_null.py --out runs/bench/profiled_null.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from table import Row, row
from torch import Tensor

from unseen.search import KernelTest, RatioCoefficients
from unseen.search.analytic import AnalyticNull
from unseen.search.crosscheck import tail_change
from unseen.search.profile_toys import ProfilePlan
from unseen.search.pseudo import PseudoData

Floats = NDArray[np.float64]
SHIFT = 0.1
N_REFERENCE, EXPECTED, N_POOL = 20_000, 2000, 60_000
# dimensions, width, penalty, times the events of everything
SETTINGS = (
    *((1, width, penalty, 1.0) for width in (0.3, 1.0, 3.0) for penalty in (1e-6, 1e-4, 1e-2)),
    *((4, width, penalty, 1.0) for width in (1.5, 3.0) for penalty in (1e-6, 1e-4, 1e-2)),
    (1, 1.0, 1e-4, 0.1),
)
BATCH = 64


def delta(x: Floats) -> RatioCoefficients:
    """Return the coefficients of log r: the mean of the first feature moves by 0.1 nu."""
    return RatioCoefficients(SHIFT * x[:, :1], np.full((len(x), 1, 1), -(SHIFT**2) / 2), ("shift",))


def quadratic_t(pseudo: PseudoData, n_toys: int, seed: int) -> Floats:
    """Return s' S^-1 s (n_toys,) of the toys of this seed: one Newton step of b and nu from the nominal reference."""
    simulation = pseudo.simulation
    fitted, plan, phi = simulation.fitted, simulation.plan(n_toys, seed, None, nu=(0.0,)), simulation.union(0)
    assert isinstance(plan, ProfilePlan)
    assert plan.auxiliary is not None
    r, n = phi.map.rank, fitted.expected
    source = torch.full((len(phi),), n / len(phi), dtype=phi.compute.dtype)
    moment = phi.second_moment(source)
    border = moment[:r, r : r + 1] / (moment[r, r] + 1.0)
    stiff = moment[:r, :r] - border @ moment[r : r + 1, :r]
    stiff.diagonal().add_(2.0 * (len(fitted.z) + n) * fitted.penalty)
    found = []
    for start in range(0, n_toys, BATCH):
        toys = range(start, min(start + BATCH, n_toys))
        code = torch.from_numpy(np.stack([plan.draw(toy) for toy in toys])).to(phi.compute.dtype)
        signed = torch.where(code > 0, -code * (n / len(fitted.z)), -code)
        score = phi.total(signed)[:, : r + 1]
        score[:, r] += torch.from_numpy(plan.auxiliary[toys.start : toys.stop, 0])
        s: Tensor = score[:, :r] - score[:, r:] @ border.T
        found.append((s * torch.linalg.solve(stiff, s.T).T).sum(1).numpy())
    return np.concatenate(found)


def compare(d: int, width: float, penalty: float, size: float, n_toys: int, seed: int) -> tuple[str, list[Row]]:
    """Return one line of the table and the rows of one setting."""
    # Other events and toys in every setting: the lines of the table are independent.
    rng = np.random.default_rng([seed, d, round(1e3 * width), round(-np.log10(penalty)), round(10 * size)])
    reference, pool = (rng.normal(size=(int(size * n), d)) for n in (N_REFERENCE, N_POOL))
    stream = int(rng.integers(2**31))
    test = KernelTest(widths=width, n_centers=300, penalty=penalty, standardise=False, seed=seed)
    test.fit(reference, expected=EXPECTED * size, ratio=delta)
    null = test.calibrate(pool, "toys", n_toys=n_toys, seed=stream, nu=[0.0])
    analytic: AnalyticNull = null.analytic[0]
    converged, quadratic = null.t[:, 0], quadratic_t(test.pseudo_data(pool, {}), n_toys, stream)
    mean, variance = analytic.moments
    ks = [float(stats.kstest(np.exp(analytic.log_p(t)), "uniform").pvalue) for t in (quadratic, converged)]
    name = f"d={d} width {width:g} penalty {penalty:g} N={EXPECTED * size:g}"
    values = {
        "analytic mean": mean,
        "quadratic mean": quadratic.mean(),
        "converged mean": converged.mean(),
        "analytic standard deviation": np.sqrt(variance),
        "quadratic standard deviation": quadratic.std(ddof=1),
        "converged standard deviation": converged.std(ddof=1),
        "quadratic Kolmogorov p": ks[0],
        "converged Kolmogorov p": ks[1],
        "excess variance from the fourth cumulant": analytic.variance_excess,
        "predicted tail at 1e-4 over analytic": tail_change(analytic),
    }
    line = f"{name:38s}" + "".join(f"{float(value):10.3g}" for value in values.values())
    return line, [row(f"{name}: {what}", float(value), "") for what, value in values.items()]


def main() -> None:
    """Run the comparison, print its table and write it."""
    parser = argparse.ArgumentParser(description="The analytic null of the profiled test against toys")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toys", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = ("E analyt", "E quad", "E conv", "sd analyt", "sd quad", "sd conv", "KS quad", "KS conv", "excess", "tail")
    print(" " * 38 + "".join(f"{head:>10s}" for head in heads), flush=True)
    rows = []
    for setting in SETTINGS:
        line, more = compare(*setting, options.toys, options.seed)
        print(line, flush=True)
        rows += more
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
