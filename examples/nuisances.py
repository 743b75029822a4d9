"""Find a cluster in data of a camera that is turned and zoomed by unknown amounts. See docs/tutorial-nuisances.md.

python examples/nuisances.py
python examples/nuisances.py --cluster 0 --figure nuisances.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import unseen
from unseen.systematics import Block, DensityRatio, Nuisance, NuisanceSet, RatioSamples, fit_kernel_ratio

Floats = NDArray[np.float64]
N = 2000  # points expected in the data
SIZES = {"train": 40_000, "reference": 20_000, "pool": 60_000}
N_CLUSTER = 30  # points of the cluster, on top of the others
N_TOYS = 499  # p-values resolve 1 / 500
TURNED, ZOOMED = 2.0, -1.0  # the camera of the data, in standard deviations; the search does not know


def rotate(x: Floats, nu: Floats) -> Floats:
    """Turn points (n, 2) by 0.03 rad for each unit of nu (n,)."""
    c, s = np.cos(0.03 * nu), np.sin(0.03 * nu)
    return np.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], axis=1)


def stretch(x: Floats, nu: Floats) -> Floats:
    """Enlarge the picture by 2 % for each unit of nu (n,)."""
    return np.asarray(x * np.exp(0.02 * nu)[:, None])


CAMERA = NuisanceSet([Nuisance("rotation", rotate), Nuisance("scale", stretch)])


def simulate(rng: np.random.Generator, n: int) -> Floats:
    """Return n points (n, 2) of three clouds, as the nominal camera sees them."""
    clouds = np.array([[1.6, 0.0], [-0.8, 1.4], [-0.6, -1.2]])
    return clouds[rng.choice(3, n, p=[0.5, 0.3, 0.2])] + 0.5 * rng.normal(size=(n, 2))


def take_data(rng: np.random.Generator, n_cluster: int) -> Floats:
    """Return points as the real camera sees them: those that are known, and a cluster that is not."""
    cluster = np.array([0.5, 0.9]) + 0.12 * rng.normal(size=(n_cluster, 2))
    sky = np.concatenate([simulate(rng, rng.poisson(N)), cluster])
    return np.asarray(CAMERA.distort(sky, [TURNED, ZOOMED]))


def learn_ratio(points: Floats, seed: int) -> DensityRatio:
    """Learn r(x; nu) from the same points at the nominal camera and at random ones."""
    nu = np.random.default_rng([seed, 1]).uniform(-3.0, 3.0, size=(len(points), 2))
    event = np.arange(len(points))
    moved = Block(nu, CAMERA.distort(points, nu), event=event, nominal_nu=nu)
    samples = RatioSamples.of(points, [moved], CAMERA.names, event=event)
    return fit_kernel_ratio(samples, CAMERA.names, n_centers=200, rank=50, seed=seed)


@dataclass(frozen=True)
class Outcome:
    """Everything that the page shows; results by (profiled or ignored, with or without the cluster)."""

    ratio: DensityRatio
    results: dict[tuple[str, str], unseen.SearchResult]
    toys: dict[str, Floats]
    data: Floats
    f: Floats  # (n_data,) of the profiled search of the data with the cluster
    region: unseen.Region


def search(seed: int, n_cluster: int = N_CLUSTER) -> Outcome:
    """Search data without and with the cluster, with nu profiled and with nu ignored."""
    rng = np.random.default_rng(seed)
    points = {name: simulate(rng, n) for name, n in SIZES.items()}
    data = {"camera": take_data(rng, 0), "cluster": take_data(rng, n_cluster)}
    # Somebody has measured the camera, each parameter to one standard deviation.
    measured = np.array([TURNED, ZOOMED]) + rng.normal(size=2)
    ratio = learn_ratio(points["train"], seed)

    results, toys = {}, {}
    for name in ("ignored", "profiled"):
        profiled = name == "profiled"
        test = unseen.KernelTest(widths=0.5, n_centers=200, penalty=1e-4, seed=seed)
        test.fit(points["reference"], expected=N, ratio=ratio if profiled else None)
        toys[name] = test.calibrate(points["pool"], n_toys=N_TOYS).t[:, 0]
        for sample, x in data.items():
            results[name, sample] = test.search(x, auxiliary=measured if profiled else None)

    # f and the region are those of the last search: nu profiled, the data with the cluster.
    return Outcome(ratio, results, toys, data["cluster"], test.score(data["cluster"]), test.region())


def report(outcome: Outcome) -> None:
    """Print p-values, what the search says of the camera, and where the excess is."""
    for (name, sample), result in outcome.results.items():
        relation = "<=" if result.at_resolution else "="
        print(f"{sample:<8} nu {name:<9} t = {result.t[0]:6.1f}   p {relation:<2} {result.p_value:.3f}")
    result = outcome.results["profiled", "camera"]
    assert result.nu_hat is not None
    assert result.nu_error is not None
    for name, true, nu, error in zip(CAMERA.names, (TURNED, ZOOMED), result.nu_hat, result.nu_error, strict=True):
        print(f"{name:<9} true {true:5.2f}, found {nu:5.2f} +- {error:.2f}")
    region = outcome.region
    x, y = outcome.data[outcome.f >= region.threshold].mean(axis=0)
    print(f"{region.side}: {region.observed} points, {region.expected:.1f} expected, around ({x:.2f}, {y:.2f})")


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the data with what a turn and a zoom do to them, and t of toys and data with nu ignored and profiled."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 3.9), layout="constrained")
    plane, *panels = figure.subplots(1, 3)
    inside = outcome.f >= outcome.region.threshold
    plane.scatter(*outcome.data[~inside].T, s=2, color="0.7")
    plane.scatter(*outcome.data[inside].T, s=4, color="tab:red", label=f"region of {outcome.region.side}")
    grid = np.stack(np.meshgrid(np.linspace(-1.8, 2.6, 8), np.linspace(-2.2, 2.6, 8)), axis=-1).reshape(-1, 2)
    for nu, colour, name in (([2.0, 0.0], "tab:blue", "rotation"), ([0.0, 2.0], "tab:green", "scale")):
        moved = CAMERA.distort(grid, nu) - grid
        plane.quiver(*grid.T, *moved.T, color=colour, angles="xy", width=0.004, label=f"{name}, ν = 2 (enlarged)")
    plane.set(title="data", aspect="equal")
    plane.set_ylim(-4.6, 3.2)
    plane.legend(fontsize=7, loc="lower right")
    for axes, name in zip(panels, ("ignored", "profiled"), strict=True):
        axes.hist(outcome.toys[name], bins=40, color="0.75", label=f"{len(outcome.toys[name])} toys")
        for sample, colour in (("camera", "tab:blue"), ("cluster", "tab:red")):
            result = outcome.results[name, sample]
            sign = "≤" if result.at_resolution else "="
            title = "camera alone" if sample == "camera" else "camera and cluster"
            axes.axvline(result.t[0], color=colour, linewidth=2, label=f"{title}: p {sign} {result.p_value:.3f}")
        axes.set(title=f"ν {name}", xlabel="t", ylabel="toys", ylim=(0.0, 1.5 * axes.get_ylim()[1]))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(framealpha=1.0, edgecolor="none", fontsize=8, loc="upper center")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the tutorial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cluster", type=int, default=N_CLUSTER, help="number of points in the cluster")
    parser.add_argument("--seed", type=int, default=1, help="seed of the samples, of the ratio and of the test")
    parser.add_argument("--figure", type=Path, help="write a figure to this PNG file")
    options = parser.parse_args()
    outcome = search(options.seed, options.cluster)
    report(outcome)
    if options.figure is not None:
        draw(outcome, options.figure)


if __name__ == "__main__":
    main()
