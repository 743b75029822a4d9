"""Figures and tables of docs/validation/detector.md: python docs/validation/detector_figures.py --benchmark FOLDER.

Generates Pythia events (some minutes; kept in --cache), applies the detector response and compares with a benchmark
sample in the ADC2021 layout, where one is given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import matplotlib as mpl
import mplhep
import numpy as np

from unseen.events import ADC2021, Events, read, select
from unseen.events.observables import dilepton_mass, jet_multiplicity, lepton_multiplicity, met
from unseen.simulate.detector import DetectorSettings, reconstruct

mpl.use("Agg")
import detector_objects as objects
from matplotlib import pyplot as plt

Z = ("WeakSingleBoson:ffbar2gmZ=on", "23:onMode=off", "23:onIfAny=11 13", "PhaseSpace:mHatMin=20")
# Process -> (events, Pythia settings, benchmark file).
PROCESSES: dict[str, tuple[int, tuple[str, ...], str]] = {
    "w": (16000, ("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=11 13"), "w"),
    "z": (9000, Z, "z"),
    "peak": (40000, (*Z, "PartonLevel:MPI=off"), "z"),  # fast, and the peak does not depend on it
    "tt": (4000, ("Top:gg2ttbar=on", "Top:qqbar2ttbar=on"), "tt"),
    "a4l": (
        8000,
        (
            *("Higgs:useBSM=on", "HiggsBSM:gg2A3=on", "36:m0=50", "36:onMode=off", "36:onIfMatch=23 23"),
            *("HiggsA3:coup2Z=1", "23:onMode=off", "23:onIfAny=11 13", "23:mMin=1"),
            *("36:doForceWidth=on", "36:mWidth=0.01", "36:mMin=45", "36:mMax=55"),
        ),
        "ato4l",
    ),
    "bb": (4000, ("HardQCD:hardbbbar=on", "PhaseSpace:pTHatMin=30"), ""),
}
OURS, BENCHMARK = {"color": "#3f90da"}, {"color": "0.35"}


def generate(process: str, cache: Path) -> ak.Array:
    """Final-state particles of Pythia events."""
    path = cache / f"{process}.parquet"
    if path.is_file():
        return ak.from_parquet(path)
    import pythia8mc

    n, settings, _ = PROCESSES[process]
    pythia = pythia8mc.Pythia("", False)
    for line in ("Beams:eCM=13000", "Random:setSeed=on", "Random:seed=7", "Print:quiet=on", *settings):
        pythia.readString(line)
    if not pythia.init():
        raise RuntimeError(f"Pythia refuses the settings of {process}")
    parts = []
    for _ in range(0, n, 1000):
        record = pythia.nextBatch(1000).prt
        final = record[record.status > 0]
        p = final.p
        parts.append(ak.zip({"id": final.id, "px": p.px, "py": p.py, "pz": p.pz, "e": p.e}))
    cache.mkdir(parents=True, exist_ok=True)
    ak.to_parquet(ak.concatenate(parts), path)
    return ak.from_parquet(path)


def peak(name: str, part: int) -> Callable[[Events], tuple[Any, Callable[[Any], float]]]:
    """Median (part 0) or half of the central 68 % (part 1) of the mass of pairs within 70-110 GeV."""

    def of(events: Events) -> tuple[Any, Callable[[Any], float]]:
        return in_window(
            pairs(events, name)
        ), lambda m: np.median(m) if part == 0 else np.subtract(*np.percentile(m, [84, 16])) / 2

    return of


def pairs(events: Events, name: str) -> Any:
    """Mass of the events with exactly two leptons, both of this kind."""
    two = (events.has(name).sum(axis=1) == 2) & (lepton_multiplicity(events) == 2)
    return dilepton_mass(events[two])


def in_window(mass: Any) -> Any:
    return mass[(mass > 70) & (mass < 110)]


# Row of the table -> (process, value per event, statistic, value in the specification).
SANITY: dict[str, tuple[str, Callable[[Events], tuple[Any, Callable[[Any], float]]], str]] = {
    "Z → ee: median mass [GeV]": ("peak", peak("electrons", 0), "90.3"),
    "Z → ee: half-width [GeV]": ("peak", peak("electrons", 1), "4.1"),
    "Z → μμ: median mass [GeV]": ("peak", peak("muons", 0), "90.5"),
    "Z → μμ: half-width [GeV]": ("peak", peak("muons", 1), "3.1"),
    "W: median MET [GeV]": ("w", lambda e: (met(e), np.median), "35.5"),
    "W: standard deviation of MET [GeV]": ("w", lambda e: (met(e), np.std), "15"),
    "W: no jet above 30 GeV [%]": ("w", lambda e: (100.0 * (jet_multiplicity(e) == 0), np.mean), "83"),
    "W: jets above 30 GeV per event": ("w", lambda e: (jet_multiplicity(e), np.mean), "0.20"),
    "Z: median MET [GeV]": ("z", lambda e: (met(e), np.median), "–"),
    "tt: three jets or more [%]": ("tt", lambda e: (100.0 * (jet_multiplicity(e) >= 3), np.mean), "78"),
    "tt: median MET [GeV]": ("tt", lambda e: (met(e), np.median), "55"),
    "A → 4l: four leptons [%]": ("a4l", lambda e: (100.0 * (lepton_multiplicity(e) == 4), np.mean), "12.5"),
    "A → 4l: three leptons [%]": ("a4l", lambda e: (100.0 * (lepton_multiplicity(e) == 3), np.mean), "–"),
}


def with_error(values: Any, statistic: Callable[[Any], float], rng: np.random.Generator) -> str:
    """The statistic and its standard deviation over 200 bootstrap samples."""
    resampled = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(200)]
    error = float(np.std(resampled))
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{statistic(values):.{digits}f} ± {error:.{digits}f}"


def print_table(ours: dict[str, Events], theirs: dict[str, Events], efficiency: str) -> None:
    rng = np.random.default_rng(0)
    print("| quantity | specification | this response | benchmark |\n|---|---|---|---|")
    print(f"| W → eν, μν: fraction of events that pass the selection | 0.42 | {efficiency} | – |")
    for label, (process, values, target) in SANITY.items():
        cells = [with_error(*values(s[process]), rng) if process in s else "–" for s in (ours, theirs)]
        print(f"| {label} | {target} | {' | '.join(cells)} |")


def print_timing(particles: dict[str, ak.Array]) -> None:
    print("\n| events | particles per event | everything [ms per event] | of which clustering |\n|---|---|---|---|")
    for process in ("w", "tt"):
        batch = ak.to_packed(particles[process][:2000])
        start = time.process_time()
        reconstruct(batch, np.random.default_rng(0))
        total = time.process_time() - start
        jets = objects.clustering_time(batch)
        mean = ak.mean(ak.num(batch["id"]))
        print(f"| {process} | {mean:.0f} | {1e3 * total / len(batch):.3f} | {1e3 * jets / len(batch):.3f} |")


def compare(axis: Any, ours: Any, theirs: Any, edges: Any, label: str) -> None:
    """Both distributions, each normalised to 1; ours as points with statistical errors."""
    counts = np.histogram(ours, edges)[0]
    norm = counts.sum() * np.diff(edges)
    if theirs is not None:
        reference = np.histogram(theirs, edges)[0]
        reference = reference / (reference.sum() * np.diff(edges))
        mplhep.histplot(reference, edges, ax=axis, histtype="fill", alpha=0.35, label="benchmark", **BENCHMARK)
    centres = (edges[1:] + edges[:-1]) / 2
    axis.errorbar(centres, counts / norm, np.sqrt(counts) / norm, fmt="o", ms=4, label="this response", **OURS)
    axis.set(xlabel=label, ylabel="fraction / bin width", xlim=(edges[0], edges[-1]), ylim=(0, None))


def figure_z(ours: dict[str, Events], theirs: dict[str, Events], out: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for axis, name, symbol in zip(axes, ("electrons", "muons"), ("ee", r"\mu\mu"), strict=True):
        reference = pairs(theirs["peak"], name) if theirs else None
        compare(axis, pairs(ours["peak"], name), reference, np.linspace(60, 120, 31), rf"$m_{{{symbol}}}$ [GeV]")
    axes[0].legend(loc="upper left")
    figure.savefig(out / "detector_z.png", dpi=90)


def figure_events(ours: dict[str, Events], theirs: dict[str, Events], out: Path) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    for row, (process, name) in zip(axes, (("w", "W"), ("tt", r"$t\bar{t}$")), strict=True):
        for axis, (label, edges, values) in zip(row, objects.EVENT_PANELS[process], strict=True):
            reference = values(theirs[process]) if theirs else None
            compare(axis, values(ours[process]), reference, edges, label)
            axis.set_title(name, loc="left", fontsize=13)
    axes[0, 0].legend(loc="upper right")
    figure.savefig(out / "detector_events.png", dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, help="folder of a sample in the ADC2021 layout")
    parser.add_argument("--cache", type=Path, default=Path("detector-cache"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    mplhep.style.use("CMS")
    plt.rcParams.update({"font.size": 13, "axes.labelsize": 14, "legend.fontsize": 12, "lines.linewidth": 1.5})
    particles = {name: generate(name, arguments.cache) for name in PROCESSES}
    ours, theirs = {}, {}
    for name, (_, _, file) in PROCESSES.items():
        out = reconstruct(particles[name], np.random.default_rng(0))
        ours[name] = select(Events.from_awkward(ADC2021, out))
        if arguments.benchmark and file:
            theirs[name] = read(arguments.benchmark / f"{file}.h5", select=True)
    passed, n = len(ours["w"]), len(particles["w"])
    print_table(ours, theirs, f"{passed / n:.4f} ± {np.sqrt(passed / n * (1 - passed / n) / n):.4f}")
    print_timing(particles)
    figure_z(ours, theirs, arguments.out)
    figure_events(ours, theirs, arguments.out)
    objects.figure_objects(particles, DetectorSettings(), arguments.out)


if __name__ == "__main__":
    main()
