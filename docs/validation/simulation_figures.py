"""Numbers and figure of docs/validation/simulation.md: python docs/validation/simulation_figures.py SAMPLE ...

SAMPLE is a folder that the simulation wrote, e.g. runs/quickstart/simulate/test. Of several samples, each process is
taken from the one that has most of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mplhep
import numpy as np

from unseen.events import Events, Sample, select
from unseen.events.observables import LEPTONS, dilepton_mass, jet_multiplicity, met, transverse_mass

mpl.use("Agg")
from matplotlib import pyplot as plt

NAMES = {"w": "W", "z": "Z", "tt": r"$t\bar{t}$", "qcd": "QCD", "ato4l": r"$A \to 4\ell$"}
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6")
PAIR = ("z", "ato4l", "tt")


def leading_lepton_eta(events: Events) -> Any:
    """eta of the hardest electron or muon."""
    pt, eta = (np.concatenate([events.get(name, feature) for name in LEPTONS], axis=1) for feature in ("pt", "eta"))
    return np.take_along_axis(eta, pt.argmax(axis=1)[:, None], axis=1)[:, 0]


# Panel -> (bin edges, values, processes that are shown, all if empty).
PANELS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    r"dilepton mass $m_{\ell\ell}$ [GeV]": (np.linspace(0, 140, 36), dilepton_mass, PAIR),
    r"transverse mass $m_T$ [GeV]": (np.linspace(0, 150, 31), transverse_mass, ()),
    "jets above 30 GeV": (np.arange(-0.5, 10), jet_multiplicity, ()),
    r"missing $p_T$ [GeV]": (np.linspace(0, 150, 31), met, ()),
    r"$\eta$ of the hardest lepton": (np.linspace(-3, 3, 25), leading_lepton_eta, ()),
}


def falling_edge(mass: Any, width: float = 5.0) -> tuple[float, float]:
    """Mode of a spectrum, and where it has fallen to half of that above, in GeV; linear between bins."""
    edges = np.arange(0, 200 + width, width)
    counts = np.histogram(mass, edges)[0]
    centres = (edges[1:] + edges[:-1]) / 2
    top = int(counts.argmax())
    below = top + int(np.argmax(counts[top:] < counts[top] / 2))
    x, y = centres[below - 1 : below + 1], counts[below - 1 : below + 1] - counts[top] / 2
    return float(centres[top]), float(x[0] + width * y[0] / (y[0] - y[1]))


def with_error(values: Any, statistic: Any, digits: int) -> str:
    """A statistic and its standard deviation over 200 bootstrap samples."""
    rng = np.random.default_rng(0)
    spread = np.std([statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(200)])
    return f"{statistic(values):.{digits}f} ± {spread:.{digits}f}"


def largest(samples: list[Sample]) -> dict[str, tuple[Events, Sample]]:
    """Selected events of every process, one row per generated event, and the sample that they come from."""
    found: dict[str, tuple[Events, Sample]] = {}
    for sample in samples:
        events = select(sample.load())
        events = events[np.unique(events.record["source"], return_index=True)[1]]
        for name in NAMES:
            mine = events.of(name)
            if len(mine) > len(found[name][0] if name in found else ()):
                found[name] = (mine, sample)
    return {name: found[name] for name in NAMES if name in found}


def print_tables(found: dict[str, tuple[Events, Sample]]) -> None:
    events = {name: mine for name, (mine, _) in found.items()}
    mass = transverse_mass(events["w"])
    print("W transverse mass: mode", falling_edge(mass)[0])
    print("half of the maximum at", with_error(mass, lambda m: falling_edge(m)[1], 1))
    for threshold in (80, 100):
        print(f"above {threshold} GeV, %:", with_error(100.0 * (mass > threshold), np.mean, 1))
    print("\n| process | events | efficiency, % | median eta | above 2.1, % |\n|---|---|---|---|---|")
    for name, mine in events.items():
        eta = np.abs(leading_lepton_eta(mine))
        middle, outside = with_error(eta, np.median, 3), with_error(100.0 * (eta > 2.1), np.mean, 1)
        print(f"| {NAMES[name]} | {len(mine)} | {efficiency(found[name][1], name)} | {middle} | {outside} |")


def efficiency(sample: Sample, name: str) -> str:
    """Selected out of generated events in percent; nothing for QCD, which generates only what has a chance."""
    metas = [shard.meta for shard in sample.shards if shard.meta["process"] == name]
    passed, generated = (sum(meta[key] for meta in metas) for key in ("passed", "generated"))
    p = passed / generated
    return "–" if name == "qcd" else f"{100 * p:.1f} ± {100 * np.sqrt(p * (1 - p) / generated):.1f}"


def figure(events: dict[str, Events], out: Path) -> None:
    canvas, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    colours = dict(zip(NAMES, COLOURS, strict=True))
    for axis, (label, (edges, values, shown)) in zip(axes.flat, PANELS.items(), strict=False):
        for name, mine in events.items():
            if shown and name not in shown:
                continue
            x = values(mine)
            counts = np.histogram(x[np.isfinite(x)], edges)[0]
            style = {"color": colours[name], "lw": 1.6, "ls": "--" if name == "ato4l" else "-"}
            axis.stairs(counts / counts.sum() / np.diff(edges), edges, label=NAMES[name], **style)
        axis.set(xlabel=label, ylabel="fraction / bin width", xlim=(edges[0], edges[-1]), ylim=(0, None))
    axes.flat[1].axvline(80.4, color="0.5", ls=":", lw=1)
    axes.flat[0].axvline(91.2, color="0.5", ls=":", lw=1)
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(*axes.flat[1].get_legend_handles_labels(), loc="center", title="process")
    canvas.savefig(out / "simulation.png", dpi=75)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path, nargs="+", help="folders with sample.json")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    mplhep.style.use("CMS")
    plt.rcParams.update({"font.size": 12, "axes.labelsize": 13, "legend.fontsize": 13})
    found = largest([Sample.open(folder) for folder in arguments.samples])
    print_tables(found)
    figure({name: mine for name, (mine, _) in found.items()}, arguments.out)


if __name__ == "__main__":
    main()
