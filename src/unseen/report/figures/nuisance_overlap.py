"""How much a signal looks like each systematic: cosines between their directions in function space."""

from __future__ import annotations

import numpy as np

from unseen.report.figures.ratio import COLOURS
from unseen.report.plot import Plot
from unseen.report.style import WIDTH, new_figure
from unseen.report.systematics.inputs import SystematicsInputs

__all__ = ["overlap_figure"]

DARK = 0.6  # a cosine beyond this has white digits
ALL = "all, within priors"


def overlap_figure(inputs: SystematicsInputs) -> Plot | None:
    """Heat map of signals against nuisance parameters, and of these among themselves; None without signals.

    Call inside `hep_style`.
    """
    if not inputs.overlaps:
        return None
    first = inputs.overlaps[0]
    names, among = list(first["names"]), np.array(first["among"], np.float64)
    signals = [str(row["signal"]) for row in inputs.overlaps]
    upper = np.array([[*row["cosine"], row["looks_like"]] for row in inputs.overlaps], np.float64)
    lower = np.column_stack([among, np.full(len(names), np.nan)])
    lower[np.triu_indices(len(names))] = np.nan  # symmetric, and 1 with itself
    show_lower = len(names) > 1
    cells = np.vstack([upper, lower[1:]]) if show_lower else upper
    labels = signals + (names[1:] if show_lower else [])
    figure = new_figure(0.42 * len(labels) + 1.8, max(WIDTH, 0.75 * len(names) + 2.6))
    axis = figure.subplots()
    axis.imshow(cells, cmap=COLOURS, vmin=-1, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(cells):
        if np.isfinite(value):
            colour = "white" if abs(value) > DARK else "black"
            axis.text(x, y, f"{value:.2f}".replace("-", "−"), ha="center", va="center", fontsize=9, color=colour)
    axis.axvline(len(names) - 0.5, color="black", lw=1)
    if show_lower:
        axis.axhline(len(signals) - 0.5, color="black", lw=1)
    axis.set_xticks(range(len(names) + 1), [*names, ALL], rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), labels)
    axis.minorticks_off()
    axis.tick_params(length=0)
    alt = " ".join(
        f"{row['signal']}: " + ", ".join(f"{n} {c:.2f}" for n, c in zip(names, row["cosine"], strict=True)) + "."
        for row in inputs.overlaps
    )
    caption = (
        "Cosines between what a signal and what a shift of a nuisance parameter do to the density of the embedding: 1, "
        "the same; −1, the opposite shift; 0, nothing in common. All, within priors: how much of the signal all "
        "parameters together can imitate by shifts that priors and data allow, less than a cosine where these are "
        "small; its square is the share of the information on the signal that profiling costs."
    )
    if show_lower:
        caption += " Below the line: the parameters among themselves."
    return Plot("overlap", figure, alt, caption)
