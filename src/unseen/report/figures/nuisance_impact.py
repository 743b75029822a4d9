"""What the significance rests on: Z of the search with each nuisance parameter frozen in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from unseen.report.plot import Plot
from unseen.report.style import DATA, LEARNED, PROCESS_COLOURS, WIDTH, new_figure
from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.verdict import reading

__all__ = ["impact_figure"]

ROW_HEIGHT = 0.34
SIZE = 6.0


def impact_figure(inputs: SystematicsInputs) -> Plot | None:
    """Z with all profiled, with each frozen, and with all ignored; None where no search was made with one frozen.

    Call inside `hep_style`.
    """
    if not inputs.impacts:
        return None
    full, *frozen = inputs.impacts
    ignored = inputs.result.get("ignored")
    rows = [("all profiled", full, DATA)]
    rows += [(f"{row['name']} frozen", row, PROCESS_COLOURS[0]) for row in frozen]
    rows += [("all ignored", ignored, LEARNED)] if ignored else []
    reads = [(name, reading(row)) for name, row, _ in rows]
    figure = new_figure(ROW_HEIGHT * len(rows) + 0.9, WIDTH)
    axis = figure.subplots()
    start = reads[0][1].z
    if math.isfinite(start):
        axis.axvline(start, color=PROCESS_COLOURS[6], lw=1)
    for place, (_, row, colour) in enumerate(rows):
        _draw(axis, place, row, colour)
    ends = [end for _, row, _ in rows for end in (reading(row).z, *_interval(row)) if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    axis.set_xlim(low - 0.08 * (high - low), high + 0.12 * (high - low))
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)), [name for name, _ in reads])
    axis.minorticks_off()
    axis.set_xlabel("significance Z")
    alt = " ".join(f"{name}: {read.z_words}, {read.p_words}." for name, read in reads)
    return Plot("impact", figure, alt, _caption(full, bool(ignored)))


def _draw(axis: Axes, place: int, row: Mapping[str, Any], colour: str) -> None:
    read = reading(row)
    if not math.isfinite(read.z):
        return
    axis.plot(list(_interval(row)), [place, place], color=colour, lw=1.5)
    axis.plot(read.z, place, ">" if read.bound else "o", color=colour, ms=SIZE)


def _interval(row: Mapping[str, Any]) -> tuple[float, float]:
    """The 68 % interval of Z, ending at the point where one end is not known."""
    z = reading(row).z
    low, high = row.get("z_interval") or (None, None)
    return z if low is None else float(low), z if high is None else float(high)


def _caption(full: Mapping[str, Any], ignored: bool) -> str:
    n = int(full.get("n_toys") or 0)
    text = (
        "Each parameter is frozen in turn at what was measured elsewhere, and the search repeated. A large change: the "
        "parameter explains what would otherwise be an excess, so the result rests on how well it is modelled."
    )
    if n:
        text += (
            f" With {n} toys each, bars are 68 % intervals, and p below {1 / (n + 1):.2g} is not resolved (triangles). "
            "The searches share toys, so their changes are better known than the values."
        )
    return text + (" All ignored: the search that knows of no systematics." if ignored else "")
