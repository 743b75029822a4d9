"""Data, simulation, and simulation reweighted by exp f in physics observables, each with a ratio panel."""

from __future__ import annotations

from dataclasses import dataclass

import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from unseen.events.observables import OBSERVABLES, Observable
from unseen.report.figures.latent import legend_above
from unseen.report.figures.poisson import garwood
from unseen.report.groups import Group, groups
from unseen.report.inputs import ReportInputs
from unseen.report.plot import Plot
from unseen.report.style import DATA, LEARNED, new_figure
from unseen.report.wording import count, number, percent

__all__ = ["Spectrum", "draw_counts", "draw_ratio", "observable_plots", "spectrum"]

FIRST = ("leading_lepton_pt", "met", "ht", "jet_multiplicity", "dilepton_mass")
WORDS = {"met": "missing pt", "ht": "HT", "leading_lepton_pt": "leading lepton pt"}
LOG_ABOVE = 200.0  # largest bin over the mean smallest: beyond this the axis is logarithmic
RATIO_LIMITS = (0.0, 2.6)
NO_EXCESS = "No bin holds more data than simulation."


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One observable in bins (b,): reference by process and in total, its variance, the reweighted reference, data."""

    name: str
    label: str
    edges: NDArray[np.float64]
    parts: list[tuple[Group, NDArray[np.float64]]]
    reference: NDArray[np.float64]
    variance: NDArray[np.float64]
    learned: NDArray[np.float64]
    data: NDArray[np.float64]
    defined: float

    @property
    def change(self) -> float:
        """Chi-squared of what the reweighting adds."""
        return float(((self.learned - self.reference) ** 2 / (np.abs(self.reference) + 1.0)).sum())


def spectrum(inputs: ReportInputs, name: str) -> Spectrum | None:
    """The bins of one observable; None where the events lack it or it is nowhere defined."""
    observable: Observable = OBSERVABLES[name]
    if inputs.reference is None or inputs.data is None:
        return None
    if not all(inputs.reference.schema.has(needed) for needed in observable.needs):
        return None
    reference, data = observable.values(inputs.reference), observable.values(inputs.data)
    if not (np.isfinite(reference).any() or np.isfinite(data).any()):
        return None
    weight = np.asarray(inputs.weight_reference, np.float64)
    edges = observable.edges

    def fill(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        keep = np.isfinite(values)
        inside = np.clip(values[keep], edges[0], (edges[-2] + edges[-1]) / 2)  # what lies outside: the outermost bins
        return np.histogram(inside, edges, weights=None if weights is None else weights[keep])[0].astype(np.float64)

    parts = [(g, fill(reference[g.mask], weight[g.mask])) for g in groups(inputs)]
    return Spectrum(
        name,
        observable.label,
        edges,
        parts,
        fill(reference, weight),
        fill(reference, weight**2),
        fill(reference, weight * inputs.ratio_reference),
        fill(data),
        float(np.isfinite(data).mean()),
    )


def observable_plots(inputs: ReportInputs) -> list[Plot]:
    """One plot per observable that the events have, the ones named in FIRST before the others."""
    names = [*FIRST, *(name for name in OBSERVABLES if name not in FIRST)]
    found = [spectrum(inputs, name) for name in names]
    return [_plot(s) for s in found if s is not None]


def draw_counts(axis: Axes, s: Spectrum) -> None:
    """Stacked reference, its statistical uncertainty, the reweighted reference, and the data."""
    parts = s.parts[::-1]
    mplhep.histplot(
        [height for _, height in parts],
        s.edges,
        ax=axis,
        stack=True,
        histtype="fill",
        color=[g.colour for g, _ in parts],
        label=[g.name for g, _ in parts],
        flow="none",
    )
    error = np.sqrt(s.variance)
    axis.stairs(
        s.reference + error,
        s.edges,
        baseline=s.reference - error,
        fill=True,
        facecolor="none",
        ec="0.35",
        hatch="////",
        lw=0,
    )
    axis.stairs(s.learned, s.edges, color=LEARNED, lw=1.8, label=r"simulation $\times$ exp f")
    seen = (s.data > 0) | (s.reference > 0)
    centres = (s.edges[1:] + s.edges[:-1]) / 2
    bars = np.stack(garwood(s.data))[:, seen]
    axis.errorbar(centres[seen], s.data[seen], bars, fmt="o", ms=3.5, lw=1, color=DATA, label="data")
    axis.set_xlim(s.edges[0], s.edges[-1])
    axis.set_ylabel("events per bin")
    _scale(axis, s)


def draw_ratio(axis: Axes, s: Spectrum) -> None:
    """Data and reweighted reference over the reference."""
    usable = s.reference > 0
    safe = np.where(usable, s.reference, 1.0)
    band = np.where(usable, np.sqrt(s.variance) / safe, np.nan)
    axis.stairs(1 + band, s.edges, baseline=1 - band, fill=True, color="0.8", lw=0)
    axis.axhline(1.0, color="0.4", lw=0.8)
    axis.stairs(np.where(usable, s.learned / safe, np.nan), s.edges, color=LEARNED, lw=1.8, baseline=None)
    centres = (s.edges[1:] + s.edges[:-1]) / 2
    bars = np.stack(garwood(s.data))[:, usable] / safe[usable]
    axis.errorbar(centres[usable], (s.data / safe)[usable], bars, fmt="o", ms=3.5, lw=1, color=DATA)
    axis.set_ylim(*RATIO_LIMITS)
    over = np.where(usable, s.data / safe > RATIO_LIMITS[1], s.data > 0)
    axis.plot(centres[over], np.full(over.sum(), 0.94 * RATIO_LIMITS[1]), "^", ms=5, color=DATA)
    axis.set_xlabel(s.label)
    axis.set_ylabel("ratio", loc="center")
    if np.allclose(centres, np.round(centres)):  # a count
        axis.xaxis.set_minor_locator(NullLocator())


def _plot(s: Spectrum) -> Plot:
    figure: Figure = new_figure(4.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.1))
    draw_counts(top, s)
    draw_ratio(bottom, s)
    legend_above(figure, [top], 3)
    return Plot(f"observable-{s.name}", figure, _alt(s), _caption(s))


def _scale(axis: Axes, s: Spectrum) -> None:
    peak = max(s.reference.max(), s.data.max(), s.learned.max())
    top = float(max(peak, (s.data + garwood(s.data)[1])[s.data > 0].max(initial=0)))
    filled = np.concatenate([values[values > 0] for values in (s.reference, s.data)])
    if filled.size and peak / filled.min() > LOG_ABOVE and peak > 1:
        axis.set_yscale("log")
        axis.set_ylim(max(0.3, 0.5 * filled.min()), 2 * top)
    else:
        axis.set_ylim(0, 1.1 * top if top > 0 else 1.0)


def _name(s: Spectrum) -> str:
    return WORDS.get(s.name, s.name.replace("_", " "))


def _worst(s: Spectrum) -> int | None:
    """The bin with the largest excess in units of its expected fluctuation; None where no bin has one."""
    pull = (s.data - s.reference) / np.sqrt(np.abs(s.reference) + s.variance + 1.0)
    return int(np.argmax(pull)) if pull.max() > 0 else None


def _range(s: Spectrum, at: int) -> str:
    """A bin in words; the outermost ones hold what lies beyond the axis too."""
    low, high = number(s.edges[at]), number(s.edges[at + 1])
    if np.allclose(np.diff(s.edges), 1) and s.edges[0] == -0.5:  # a count
        return f"at {at}{' or more' if at == len(s.data) - 1 else ''}"
    if at == len(s.data) - 1:
        return f"above {low}"
    return f"below {high}" if at == 0 else f"from {low} to {high}"


def _alt(s: Spectrum) -> str:
    at = _worst(s)
    totals = (
        f"Histogram of {_name(s)} with a ratio panel: {count(s.data.sum())} data events, {count(s.reference.sum())} "
        f"simulated, {count(s.learned.sum())} after reweighting by exp f."
    )
    if at is None:
        return f"{totals} {NO_EXCESS}"
    return (
        f"{totals} Largest excess {_range(s, at)}: {count(s.data[at])} observed, {s.reference[at]:.1f} simulated, "
        f"{s.learned[at]:.1f} reweighted."
    )


def _caption(s: Spectrum) -> str:
    text = f"{_name(s)[0].upper()}{_name(s)[1:]}."
    if s.defined < 1:
        text += f" Defined for {percent(s.defined)} of the data."
    at = _worst(s)
    if at is None:
        return f"{text} {NO_EXCESS}"
    return (
        f"{text} Largest excess, {_range(s, at)}: {count(s.data[at])} events where {s.reference[at]:.1f} are simulated."
    )
