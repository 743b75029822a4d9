"""One small picture of a result: the excess in the latent plane, the null distribution, one observable."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from unseen.events.atomic import write_whole
from unseen.events.observables import OBSERVABLES
from unseen.report.figures.latent import draw_reference
from unseen.report.figures.latent_corner import contours
from unseen.report.figures.null import draw_null, main_panel
from unseen.report.figures.observables import Spectrum, draw_counts, draw_ratio, spectrum
from unseen.report.inputs import ReportInputs
from unseen.report.planes import best_plane, edges_of, frame
from unseen.report.style import DATA, LEARNED, hep_style, new_figure
from unseen.report.verdict import verdict
from unseen.report.wording import typeset

__all__ = ["summary_figure"]

DPI = 150
WIDTH, HEIGHT = 12.0, 4.3
ANOMALOUS = 0.01  # share of the data that is marked
AT_LEAST = 20  # but never fewer events than this
MOST_POINTS = 2500
COLOURS = 128  # of the PNG's palette


def summary_figure(inputs: ReportInputs, path: Path) -> Path:
    """Write the three panels as one PNG, atomically; equal inputs give equal bytes."""
    with hep_style(), io.BytesIO() as buffer:
        _draw(inputs).savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        picture = Image.open(buffer).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    with write_whole(Path(path)) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    return Path(path)


def _draw(inputs: ReportInputs) -> Figure:
    found = [s for s in (spectrum(inputs, name) for name in OBSERVABLES) if s is not None]
    figure = new_figure(HEIGHT, WIDTH if found else WIDTH * 2 / 3)
    grid = figure.add_gridspec(2, 3 if found else 2, height_ratios=(3, 1.1))
    _latent(figure.add_subplot(grid[:, 0]), inputs)
    null = figure.add_subplot(grid[:, 1])
    draw_null(null, main_panel(inputs))
    null.set_title("null distribution and data", loc="left", fontsize=11)
    if found:
        most = max(found, key=lambda s: s.change)
        top = figure.add_subplot(grid[0, 2])
        _observable(top, figure.add_subplot(grid[1, 2], sharex=top), most)
    figure.suptitle(typeset(verdict(inputs.result, inputs.reference_word)), fontsize=11, x=0.01, ha="left")
    return figure


def _latent(axis: Axes, inputs: ReportInputs) -> None:
    marked = inputs.most_anomalous[: max(AT_LEAST, round(ANOMALOUS * len(inputs.z_data)))]
    if inputs.dimensions == 1:
        axis.scatter(inputs.z_data[:, 0], inputs.f_data, s=5, color=DATA, linewidths=0, label="data")
        axis.scatter(inputs.z_data[marked, 0], inputs.f_data[marked], s=10, color=LEARNED, label="most anomalous data")
        axis.set_ylabel("f")
    else:
        plane = best_plane(inputs)
        draw_reference(axis, inputs, plane.x, plane.y, MOST_POINTS)
        points = inputs.z_data[marked][:, [plane.x, plane.y]]
        contours(axis, points, (edges_of(inputs, plane.x, 32), edges_of(inputs, plane.y, 32)), LEARNED, (0.8,))
        axis.scatter(points[:, 0], points[:, 1], s=9, color=LEARNED, linewidths=0, label="most anomalous data")
        axis.set_ylim(*frame(inputs, plane.y))
        axis.set_ylabel(inputs.axis_name(plane.y))
    column = 0 if inputs.dimensions == 1 else plane.x
    axis.set_xlim(*frame(inputs, column))
    axis.set_xlabel(inputs.axis_name(column))
    axis.set_title("latent plane", loc="left", fontsize=11)
    axis.legend(loc="best", fontsize=8, markerscale=2, frameon=True, framealpha=0.8, edgecolor="none")


def _observable(top: Axes, bottom: Axes, s: Spectrum) -> None:
    draw_counts(top, s)
    draw_ratio(bottom, s)
    top.tick_params(labelbottom=False)
    top.set_title("where it shows most", loc="left", fontsize=11)
    # Room above the data: matplotlib's best place does not know about error bars.
    low, high = top.get_ylim()
    top.set_ylim(low, high**1.4 / low**0.4 if top.get_yscale() == "log" else low + 1.4 * (high - low))
    top.legend(loc="upper right", fontsize=8, ncols=2)
