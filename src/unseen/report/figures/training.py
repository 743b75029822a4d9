"""Training curves of the embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from unseen.report.inputs import ReportInputs
from unseen.report.plot import Plot
from unseen.report.style import PROCESS_COLOURS, new_figure

__all__ = ["curves", "training_curves"]

NAMES = {"train_loss": "training", "val_loss": "validation"}
LINES = {"train_loss": ("-", "o"), "val_loss": ("--", "s")}


def curves(history: Mapping[str, Any] | None) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """name -> (epochs, values) of every loss with at least one finite value."""
    result = {}
    for name in NAMES:
        values = np.array([np.nan if v is None else v for v in (history or {}).get(name) or ()], np.float64)
        given = np.asarray((history or {}).get("epoch") or (), np.float64)
        epochs = given if len(given) == len(values) else np.arange(1, len(values) + 1, dtype=np.float64)
        finite = np.isfinite(values)
        if finite.any():
            result[name] = (epochs[finite], values[finite])
    return result


def learning_rate(history: Mapping[str, Any] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(epochs, rates) if every epoch has a rate that is finite and positive."""
    values = np.array([np.nan if v is None else v for v in (history or {}).get("learning_rate") or ()], np.float64)
    epochs = np.asarray((history or {}).get("epoch") or np.arange(1, len(values) + 1), np.float64)
    usable = len(values) > 0 and len(epochs) == len(values) and np.isfinite(values).all() and values.max() > 0
    return (epochs, values) if usable else None


def training_curves(inputs: ReportInputs) -> Plot | None:
    """Loss, and the learning rate if it is known, against epoch; None where no training was recorded."""
    lines = curves(inputs.history)
    if not lines:
        return None
    rate = learning_rate(inputs.history)
    figure = new_figure(3.0 if rate is None else 3.9)
    if rate is None:
        axis = bottom = figure.subplots()
    else:
        axis, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        bottom.plot(*rate, color=PROCESS_COLOURS[3], drawstyle="steps-mid")
        bottom.set_ylim(0, 1.15 * rate[1].max())
        bottom.set_ylabel("learning rate", fontsize=9.5)
    for i, (name, (epochs, values)) in enumerate(lines.items()):
        style, marker = LINES[name]
        axis.plot(
            epochs,
            values,
            ls=style,
            color=PROCESS_COLOURS[i],
            marker=marker if len(values) < 30 else "",
            ms=3.5,
            label=NAMES[name],
        )
    bottom.set_xlabel("epoch")
    axis.set_ylabel("loss")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="upper right")
    words = [f"{NAMES[name]} loss from {v[0]:.4g} to {v[-1]:.4g} in {len(v)} epochs" for name, (_, v) in lines.items()]
    caption = (
        "Loss of the embedding while it was trained. Both curves should flatten; a rising validation curve means "
        "overtraining."
    )
    if rate is not None:
        words.append(f"learning rate at most {rate[1].max():.2g}")
        caption += " Below: the learning rate at the end of each epoch."
    return Plot("training", figure, f"Training curves: {', '.join(words)}.", caption)
