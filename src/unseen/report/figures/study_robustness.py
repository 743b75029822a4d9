"""Whether a search stays true and sees signals, whatever nu: every treatment of every entry, over all points."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from unseen.report.figures.study import StudyTable
from unseen.report.plot import Plot
from unseen.report.robust import LEVEL, TOLERANCE, Cell, Look, Robust, looks, power_means_nothing, robust_entries
from unseen.report.style import WIDTH, new_figure

__all__ = ["band", "rate_limits", "study_robustness"]

PANEL = 1.6  # inches
DODGE = 0.2  # treatments stand beside each other


def study_robustness(table: StudyTable) -> Plot | None:
    """Return the figure, a panel for the type-I error and one for the power of each signal; None without cells."""
    found = robust_entries(table)
    if not found:
        return None
    treatments = list(dict.fromkeys(name for entry in found for name in entry.treatments))
    signals = list(dict.fromkeys(name for entry in found for name in entry.signals))
    figure = new_figure(PANEL * (1 + len(signals)) + 1.6, 1.75 * WIDTH)
    axes = figure.subplots(1 + len(signals), 1, sharex=True, squeeze=False)[:, 0]
    for axis, signal in zip(axes, ("", *signals), strict=True):
        _panel(axis, found, looks(treatments), signal)
    axes[-1].set_xticks(range(len(found)), [entry.entry for entry in found], rotation=25, ha="right", fontsize=9)
    axes[-1].set_xlim(-0.5, len(found) - 0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    worst = {name: max(c["rate"] for entry in found for c in entry.of(name)) for name in treatments}
    said = ", ".join(f"{name} {rate:.2f}" for name, rate in worst.items())
    return Plot(
        "robustness",
        figure,
        f"Rates of p < {LEVEL:g} for {len(found)} representations, without a signal and with each of {len(signals)}. "
        f"Highest without one: {said}.",
        f"Rates of p < {LEVEL:g} for data of events that were really distorted. Above: without a signal; marker: mean "
        f"of all points ν; grey: {LEVEL:g} within {TOLERANCE:g}. Below: with each signal; marker: at ν = 0, hollow "
        "where the rate without a signal is too high. Bars reach from the lowest to the highest point.",
        wide=True,
    )


def band(axis: Axes) -> None:
    """Draw the rate that data without a signal should have."""
    axis.axhspan(LEVEL - TOLERANCE, LEVEL + TOLERANCE, color="#d9d9d9", lw=0)


def rate_limits(cells: Sequence[Sequence[Cell]]) -> tuple[float, float]:
    """The ends of an axis for rates without a signal, which are small unless something is wrong."""
    highest = max(cell["high"] for part in cells for cell in part)
    return -0.02, max(0.2, min(1.04, 1.1 * highest))


def _panel(axis: Axes, found: Sequence[Robust], look: dict[str, Look], signal: str) -> None:
    if not signal:
        band(axis)
    for i, (treatment, mine) in enumerate(look.items()):
        shift = DODGE * (i - 0.5 * (len(look) - 1))
        label: str | None = treatment
        for x, entry in enumerate(found):
            cells = entry.of(treatment, signal)
            if cells:
                _bar(axis, x + shift, cells, entry.of(treatment), mine, label)
                label = None
    axis.set_ylim(-0.03, 1.03)
    if not signal:
        axis.set_ylim(*rate_limits([entry.of(name) for entry in found for name in look]))
    axis.set_ylabel("type-I error" if not signal else "power", fontsize=9, loc="center")
    if signal:
        axis.set_title(signal, fontsize=10, loc="left", pad=3)
    axis.tick_params(axis="x", which="minor", bottom=False, top=False)


def _bar(axis: Axes, x: float, cells: Sequence[Cell], without: Sequence[Cell], look: Look, label: str | None) -> None:
    """Draw the range of the rates, and their mean without a signal, the rate at nu = 0 with one."""
    rates = [cell["rate"] for cell in cells]
    axis.plot([x, x], [min(rates), max(rates)], color=look.colour, lw=3.5, alpha=0.45, solid_capstyle="butt")
    face, marked = look.colour, float(sum(rates) / len(rates))
    if cells[0]["signal"]:
        zero = [cell for cell in cells if not any(cell["nu"])]
        if not zero:
            return
        marked = zero[0]["rate"]
        if any(power_means_nothing(cell) for cell in without if not any(cell["nu"])):
            face = "white"
    axis.plot([x], [marked], look.marker, color=look.colour, mfc=face, ms=5.5, label=label)
