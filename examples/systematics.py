"""Search simulated collisions while the detector's jets and leptons are off. See docs/tutorial-systematics.md.

python examples/systematics.py
python examples/systematics.py --signal 0 --figure systematics.png
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import unseen
from unseen.embed import Model, TrainingConfig, train
from unseen.events import select
from unseen.simulate import SimulationConfig, simulate
from unseen.systematics import (
    DensityRatio,
    NuisanceSet,
    fit_kernel_ratio,
    migration,
    moment_closure,
    propose,
    ratio_samples,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
COLLISIONS = {"w": 9000, "z": 1800, "tt": 1200, "ato4l": 120}  # that pass the selection; more are stored
LIBRARY = 500  # underlying events, and decays of heavy hadrons, to draw from
SHARES = {"train": 0.12, "ratio": 0.44, "reference": 0.25, "pool": 0.15, "data": 0.04}  # of all but the signal
N_SIGNAL = 80  # A -> 4 leptons on top; this detector misses about two in five
N_TOYS = 199  # p-values resolve 1 / 200
TRUTH = {
    "jet-scale": 1.5,
    "muon-scale": -1.0,
    "lepton-efficiency": -2.0,
}  # the detector of the data, in standard deviations

# A young detector: jets are known to 7 %, muons to 4 %, efficiencies of leptons to 10 % in the barrel and 15 % beyond.
DETECTOR = NuisanceSet.parse(
    [
        {"name": "jet-scale", "size": 0.07},
        {"name": "muon-scale", "size": 0.04},
        {"name": "lepton-efficiency", "size": 0.1, "endcap": 0.15},
    ]
)
SETTINGS = TrainingConfig.parse({"objective": "supcon", "epochs": 15, "batch_size": 256})


def collide(folder: Path, seed: int) -> dict[str, unseen.Events]:
    """Simulate collisions and deal them into parts that share no event. Stored, not selected: some lie just outside."""
    config = SimulationConfig(test=COLLISIONS, underlying_events=LIBRARY, decays=LIBRARY)
    events = simulate(config, folder, seed)["test"].load()
    background = events.of("w", "z", "tt")
    drawn = np.random.default_rng([seed, 1]).choice(len(SHARES), len(background), p=list(SHARES.values()))
    parts = {name: background[drawn == i] for i, name in enumerate(SHARES)}
    return parts | {"signal": events.of("ato4l")}


def learn_ratio(model: Model, events: unseen.Events, n_data: float, seed: int) -> DensityRatio:
    """Learn what the detector does to the embedding, and test it on events that were not learned from."""
    nus = propose(len(DETECTOR), 24, np.random.default_rng([seed, 2]), width=2.5)
    samples = ratio_samples(events, DETECTOR, model.embed, nus, seed=seed)
    learn, test = samples.split(0.3, np.random.default_rng([seed, 3]))
    ratio = fit_kernel_ratio(learn, DETECTOR.names, n_centers=200, rank=50, seed=seed)
    return ratio.with_closure(moment_closure(ratio, test, n_data=n_data))


def take_data(model: Model, parts: dict[str, unseen.Events], n_signal: int, seed: int) -> Floats:
    """Embed collisions as the real detector sees them: distorted, selected, and lost where it is less efficient."""
    events = unseen.Events.concatenate([parts["data"], select(parts["signal"])[:n_signal]])
    seen = select(DETECTOR.distort(events, DETECTOR.nu(**TRUTH), seed=seed))
    kept = np.random.default_rng([seed, 4]).random(len(seen)) < seen.weight  # no weight is above 1: nu is negative
    return model.embed(seen[kept]).astype(float)


@dataclass(frozen=True)
class Outcome:
    """Everything that the page shows; results by (profiled or ignored, with or without the signal)."""

    parts: dict[str, unseen.Events]
    model: Model
    ratio: DensityRatio
    results: dict[tuple[str, str], unseen.SearchResult]
    toys: dict[str, Floats]


def search(folder: Path, seed: int, n_signal: int = N_SIGNAL) -> Outcome:
    """From collisions to p-values: with nu profiled and with nu ignored, of data without and with the signal."""
    parts = collide(folder / "collisions", seed)
    model = train(select(parts["train"]), SETTINGS, folder / "model", seed=seed)
    assert isinstance(model, Model)
    z = {name: model.embed(select(parts[name])).astype(float) for name in ("reference", "pool")}
    expected = len(z["reference"]) * SHARES["data"] / SHARES["reference"]
    ratio = learn_ratio(model, parts["ratio"], expected, seed)
    data = {"detector": take_data(model, parts, 0, seed), "signal": take_data(model, parts, n_signal, seed)}
    # Somebody has measured the scales, each to one standard deviation.
    measured = np.array(list(TRUTH.values())) + np.random.default_rng([seed, 5]).normal(size=len(TRUTH))

    results, toys = {}, {}
    for name in ("ignored", "profiled"):
        profiled = name == "profiled"
        test = unseen.KernelTest(widths="percentile(50)", n_centers=200, penalty=1e-4, seed=seed)
        test.fit(z["reference"], expected=expected, ratio=ratio if profiled else None)
        toys[name] = test.calibrate(z["pool"], n_toys=N_TOYS).t[:, 0]
        for sample, x in data.items():
            results[name, sample] = test.search(x, auxiliary=measured if profiled else None)
    return Outcome(parts, model, ratio, results, toys)


def report(outcome: Outcome) -> None:
    """Print who crosses the selection, the closure, p-values, and what the search says of the detector."""
    nominal = outcome.parts["ratio"]
    for name in DETECTOR.names:
        for value in (-2.0, 2.0):
            moved = migration(nominal, DETECTOR.distort(nominal, DETECTOR.nu(**{name: value})))
            crossed = f"{int(moved.lost.sum())} lost, {int(moved.gained.sum())} gained"
            print(f"{name} {value:+.0f}: {int(moved.kept.sum())} events kept, {crossed}")
    assert outcome.ratio.closure is not None
    print(outcome.ratio.closure.summary())
    for (name, sample), result in outcome.results.items():
        relation = "<=" if result.at_resolution else "="
        print(f"{sample:<8} nu {name:<9} t = {result.t[0]:6.1f}   p {relation:<2} {result.p_value:.3f}")
    result = outcome.results["profiled", "detector"]
    assert result.nu_hat is not None
    assert result.nu_error is not None
    for (name, true), nu, error in zip(TRUTH.items(), result.nu_hat, result.nu_error, strict=True):
        print(f"{name:<14} true {true:5.2f}, found {nu:5.2f} +- {error:.2f}")


def draw(outcome: Outcome, path: Path) -> None:
    """Draw how a latent axis moves with the jet scale, and t of toys and data with nu ignored and profiled."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 3.9), layout="constrained")
    left, *panels = figure.subplots(1, 3)
    draw_response(left, outcome)
    for axes, name in zip(panels, ("ignored", "profiled"), strict=True):
        axes.hist(outcome.toys[name], bins=30, color="0.75", label=f"{len(outcome.toys[name])} toys")
        for sample, colour in (("detector", "tab:blue"), ("signal", "tab:red")):
            result = outcome.results[name, sample]
            sign = "≤" if result.at_resolution else "="
            title = "detector alone" if sample == "detector" else "detector and signal"
            axes.axvline(result.t[0], color=colour, linewidth=2, label=f"{title}: p {sign} {result.p_value:.3f}")
        axes.set(title=f"ν {name}", xlabel="t", ylabel="toys", ylim=(0.0, 1.5 * axes.get_ylim()[1]))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(framealpha=1.0, edgecolor="none", fontsize=8, loc="upper center")
    figure.savefig(path, dpi=110)


def draw_response(axes: Axes, outcome: Outcome) -> None:
    """Draw rates over nominal ones along the latent axis that jets move most, and what the ratio says of them."""
    events, embed = outcome.parts["ratio"], outcome.model.embed
    nominal, jets = embed(select(events)).astype(float), DETECTOR.names[0]
    moved = {v: embed(select(DETECTOR.distort(events, DETECTOR.nu(**{jets: v})))) for v in (-2.0, 2.0)}
    spread = nominal.std(axis=0)
    axis = int(np.argmax(np.abs(moved[2.0].mean(axis=0) - moved[-2.0].mean(axis=0)) / spread))
    edges = np.quantile(nominal[:, axis], np.linspace(0, 1, 11))
    edges[[0, -1]] = -np.inf, np.inf
    start = np.histogram(nominal[:, axis], edges)[0]
    percent = np.linspace(0, 100, 11)
    for (value, z), colour in zip(moved.items(), ("tab:blue", "tab:red"), strict=True):
        weight = outcome.ratio.reweight(nominal, DETECTOR.nu(**{jets: value}))
        there = np.histogram(z[:, axis], edges)[0]
        axes.stairs(there / start, percent, color=colour, baseline=None, label=f"ν = {value:+.0f}")
        said = np.histogram(nominal[:, axis], edges, weights=weight)[0] / start
        axes.plot((percent[1:] + percent[:-1]) / 2, said, "o", color=colour, markersize=4)
    axes.axhline(1.0, color="0.6", linewidth=1)
    axes.set(title=f"{jets}: events moved (lines), ratio (dots)")
    axes.set(xlabel=f"z{axis + 1}, percentile", ylabel="rate over nominal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    """Run the tutorial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--signal", type=int, default=N_SIGNAL, help="number of signal events")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation, of the training and of the test")
    parser.add_argument("--figure", type=Path, help="write a figure to this PNG file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = search(Path(folder), options.seed, options.signal)
    report(outcome)
    if options.figure is not None:
        draw(outcome, options.figure)


if __name__ == "__main__":
    main()
