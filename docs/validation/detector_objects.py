"""Single objects against what was generated: jets, lepton efficiency, isolation. Used by detector_figures.py."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from matplotlib import pyplot as plt

from unseen.events.observables import ht, jet_multiplicity, leading_lepton_pt, met
from unseen.simulate.detector import DetectorSettings
from unseen.simulate.detector.candidates import measure_particles
from unseen.simulate.detector.isolation import isolated_leptons, relative_isolation
from unseen.simulate.detector.jets import cluster, measure_jets
from unseen.simulate.detector.kinds import ELECTRON, MUON
from unseen.simulate.detector.leptons import efficiency
from unseen.simulate.detector.pairs import close_pairs
from unseen.simulate.detector.particles import Particles, flatten

JETS = "jets above 30 GeV"
EVENT_PANELS: dict[str, tuple[tuple[str, Any, Any], ...]] = {
    "w": (
        (r"leading lepton $p_T$ [GeV]", np.linspace(22, 82, 31), leading_lepton_pt),
        (r"missing $p_T$ [GeV]", np.linspace(0, 100, 26), met),
        (JETS, np.arange(-0.5, 6), jet_multiplicity),
    ),
    "tt": (
        (r"$H_T$ [GeV]", np.linspace(0, 800, 21), ht),
        (r"missing $p_T$ [GeV]", np.linspace(0, 200, 21), met),
        (JETS, np.arange(-0.5, 10), jet_multiplicity),
    ),
}
PT_EDGES = np.array([20, 25, 30, 40, 50, 70, 100, 150, 250])
MIN_JETS = 60
MATCH = 0.2  # a measured jet belongs to the generated one within this distance


def clustering_time(particles: Any) -> float:
    """CPU seconds of the anti-kt clustering of a batch."""
    candidates, _ = measure_particles(particles, np.random.default_rng(0), DetectorSettings())
    start = time.process_time()
    cluster(candidates, 0.4, 5.0)
    return time.process_time() - start


def matched_jets(particles: Any, settings: DetectorSettings) -> tuple[Any, Any, Any]:
    """Generated pt and eta, and measured over generated pt, of jets of visible particles; lepton jets excluded."""
    rng = np.random.default_rng(0)
    candidates, leptons = measure_particles(particles, rng, settings)
    rows = [
        isolated_leptons(candidates, leptons & (candidates.kind == kind), lepton)
        for kind, lepton in ((ELECTRON, settings.electrons), (MUON, settings.muons))
    ]
    chosen = candidates.take(np.concatenate(rows))
    rest = np.ones(len(candidates), dtype=np.bool_)
    rest[np.concatenate(rows)] = False
    measured = measure_jets(candidates.take(rest), rng, settings.jets, 6.0).measured
    truth = cluster(flatten(particles, settings.invisible_ids, 0.0, 5.0), settings.jets.radius, 15.0)
    clean = np.ones(len(truth), dtype=np.bool_)
    clean[close_pairs(chosen, truth, settings.jets.overlap_radius)[1]] = False
    truth = truth.take(clean)
    i, j = nearest(truth, measured)
    return truth.pt[i], np.abs(truth.eta[i]), measured.pt[j] / truth.pt[i]


def nearest(truth: Particles, measured: Particles) -> tuple[Any, Any]:
    """Rows of generated jets and of the measured jet closest to each."""
    i, j, distance2 = close_pairs(truth, measured, MATCH)
    order = np.lexsort((distance2, i))
    i, j = i[order], j[order]
    first = np.concatenate([[True], i[1:] != i[:-1]])
    return i[first], j[first]


def profile(pt: Any, ratio: Any) -> Any:
    """Per bin of pt with enough jets: centre, mean, its error, half of the central 68 %, its error."""
    rows = []
    for lower, upper in itertools.pairwise(PT_EDGES):
        r = ratio[(pt > lower) & (pt < upper)]
        if len(r) > MIN_JETS:
            width, root = np.subtract(*np.percentile(r, [84, 16])) / 2, np.sqrt(len(r))
            rows.append((np.sqrt(lower * upper), r.mean(), r.std() / root, width, width / root))
    return np.array(rows)


def draw_jets(axes: Any, particles: Any, settings: DetectorSettings) -> None:
    """Mean response and its half-width (half of the central 68 %) against the generated pt."""
    pt, abs_eta, ratio = matched_jets(particles, settings)
    for low, high, colour, marker in ((0.0, 2.5, "#3f90da", "o"), (2.5, 4.0, "#bd1f01", "s")):
        ring = (abs_eta > low) & (abs_eta < high)
        x, mean, mean_error, width, width_error = profile(pt[ring], ratio[ring]).T
        print(f"jets, {low} < |eta| < {high}: pt {x.round(0)}, mean {mean.round(3)}, half-width {width.round(3)}")
        style = {"fmt": marker, "ms": 5, "color": colour, "label": rf"${low:g} < |\eta| < {high:g}$"}
        axes[0].errorbar(x, mean, mean_error, **style)
        axes[1].errorbar(x, width, width_error, **style)
    axes[0].axhline(1.0, color="0.6", lw=1, zorder=0)
    axes[0].set(ylabel="mean of measured / generated $p_T$", ylim=(0.9, 1.1))
    axes[1].set(ylabel="half-width of measured / generated $p_T$", ylim=(0, 0.35))
    for axis in axes:
        axis.set(xlabel=r"generated jet $p_T$ [GeV]", xscale="log", xticks=(20, 50, 100, 200))
        axis.set_xticklabels(("20", "50", "100", "200"))
        axis.minorticks_off()
        axis.legend(loc="upper right")


def draw_efficiency(axis: Any, settings: DetectorSettings) -> None:
    pt = np.linspace(1, 40, 200)
    for name, lepton, colour in (("electrons", settings.electrons, "#3f90da"), ("muons", settings.muons, "#bd1f01")):
        for eta, line in ((0.5, "-"), (2.0, "--")):
            values = efficiency(lepton, pt, np.full(len(pt), eta))
            axis.plot(pt, values, line, color=colour, label=rf"{name}, $|\eta|$ = {eta}")
    axis.set(xlabel=r"generated lepton $p_T$ [GeV]", ylabel="efficiency before isolation", xlim=(0, 40), ylim=(0, 1.05))
    axis.legend(loc="lower right")


def draw_isolation(axis: Any, particles: dict[str, Any], settings: DetectorSettings) -> None:
    """Relative isolation of leptons above 10 GeV from W bosons and from heavy hadrons."""
    edges = np.linspace(0, 3, 31)
    for process, label, colour in (("w", "W", "#3f90da"), ("bb", r"$b\bar{b}$", "#bd1f01")):
        candidates, leptons = measure_particles(particles[process], np.random.default_rng(0), settings)
        rows = np.flatnonzero(leptons & (candidates.pt > 10) & (np.abs(candidates.eta) < 2.4))
        values = relative_isolation(candidates, rows, settings.muons.isolation_radius)
        passed = np.mean(values < settings.muons.isolation_max)
        print(f"isolated leptons above 10 GeV in {process}: {passed:.4f} of {len(values)}")
        counts = np.histogram(np.minimum(values, edges[-1] - 1e-9), edges)[0] / len(values)
        axis.stairs(counts, edges, color=colour, lw=1.8, label=f"{label} ({100 * passed:.1f} % pass)")
    axis.axvline(settings.muons.isolation_max, color="0.4", ls=":")
    axis.set(xlabel="relative isolation (last bin: overflow)", ylabel="fraction of leptons", yscale="log", xlim=(0, 3))
    axis.legend(loc="upper center")


def figure_objects(particles: dict[str, ak.Array], settings: DetectorSettings, out: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
    draw_jets(axes[0], particles["tt"], settings)
    draw_efficiency(axes[1, 0], settings)
    draw_isolation(axes[1, 1], particles, settings)
    figure.savefig(out / "detector_objects.png", dpi=72)
