"""Fine-tuning epoch by epoch: both losses, and how well the ratio closes on held-out events and nu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError
from unseen.report.plot import Plot
from unseen.report.style import PROCESS_COLOURS, hep_style, new_figure

__all__ = ["fine_tuning_figure"]

Entry = Mapping[str, float | int | None]
KINDS = {"train": ("training", "-", "o"), "val": ("validation", "--", "s")}
CLOSURES = {"val_shift": ("nominal as it is", ":", "^"), "val_closure": ("nominal, reweighted by r", "--", "s")}
SYSTEMATIC = {
    "covariant": "covariant: nats per event",
    "invariant": "invariant",
    "equivariant": "equivariant",
    "rs3l": "rs3l",
}
MARKED = 30  # epochs from which on the points are not marked


def fine_tuning_figure(history: Sequence[Entry]) -> Plot:
    """The history of a `FineTuned`: contrastive loss, systematic term, closure; panels below each other.

    Errors: NotEnoughEventsError (a history without epochs).
    """
    if not history:
        raise NotEnoughEventsError("this history has no epochs: nothing to draw")
    method = next((name for name in SYSTEMATIC if f"val_{name}" in history[0] or f"train_{name}" in history[0]), None)
    terms = {"contrastive": "contrastive"} | ({} if method is None else {method: SYSTEMATIC[method]})
    with hep_style("fine-tuning"):
        figure = new_figure(1.9 * (len(terms) + 1) + 0.5)
        axes = np.atleast_1d(figure.subplots(len(terms) + 1, 1, sharex=True))
        words = []
        for axis, (name, label) in zip(axes, terms.items(), strict=False):
            words += _losses(axis, history, name)
            axis.set_ylabel(label, fontsize=9.5)
        words += _closures(axes[-1], history)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels(axes)
    caption = (
        "Top: the contrastive loss, which should stay as low as before. "
        + ("" if method is None else "Middle: the systematic term, below which the head and the embedding work. ")
        + "Bottom: differences between held-out events at nu and nominal ones, as mean squared pulls: 1 if they close."
    )
    return Plot("fine-tuning", figure, f"Fine-tuning: {'; '.join(words)}.", caption)


def _line(
    axis: Axes, history: Sequence[Entry], name: str, label: str, style: str, marker: str, colour: int
) -> NDArray[np.float64] | None:
    """Draw one column against the number of the epoch, from 1; returns its finite values."""
    raw = [entry.get(name) for entry in history]
    values = np.array([np.nan if value is None else value for value in raw], dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    epochs = np.arange(1, len(values) + 1)
    shown = marker if len(values) < MARKED else ""
    axis.plot(epochs, values, ls=style, marker=shown, ms=3.5, color=PROCESS_COLOURS[colour], label=label)
    return values[np.isfinite(values)]


def _losses(axis: Axes, history: Sequence[Entry], name: str) -> list[str]:
    words = []
    for i, (kind, (label, style, marker)) in enumerate(KINDS.items()):
        values = _line(axis, history, f"{kind}_{name}", label, style, marker, i)
        if values is not None:
            words.append(f"{name} loss in {label} from {values[0]:.4g} to {values[-1]:.4g}")
    axis.legend(loc="upper right", fontsize=8.5)
    return words


def _closures(axis: Axes, history: Sequence[Entry]) -> list[str]:
    words = []
    for i, (name, (label, style, marker)) in enumerate(CLOSURES.items(), start=3):
        values = _line(axis, history, name, label, style, marker, i)
        if values is not None:
            words.append(f"mean squared pull of {label} from {values[0]:.3g} to {values[-1]:.3g}")
    axis.axhline(1.0, color="#333333", lw=0.8)
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.set_ylim(0.8 * low, 3.0 * high)  # room for the legend
    axis.set_ylabel("mean squared pull", fontsize=9.5)
    if words:
        axis.legend(loc="upper right", fontsize=8.5, ncols=2)
    return words
