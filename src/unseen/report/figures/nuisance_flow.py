"""The response vector field dz/dnu: where events go in the latent plane when a nuisance parameter grows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unseen.report.figures.latent_corner import contours
from unseen.report.plot import Plot
from unseen.report.style import LEARNED, WIDTH, new_figure
from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.systematics.movement import displacement, edges_of, shown_names, shown_planes
from unseen.report.wording import number

__all__ = ["flow_figure"]

Array = NDArray[np.float64]

BINS = (5, 14)  # of each axis, for few and for many events
PER_BIN = 12
CONTOUR_BINS = 40
LEAST = 15  # events behind an arrow
LONG = 1.3  # a long arrow, in bins
TYPICAL = 0.95  # share of the arrows that are no longer
ROUND = (1.0, 2.0, 5.0)
STILL = 1e-9
CLOUD = "#8a93a0"


def flow_figure(inputs: SystematicsInputs) -> Plot | None:
    """One row per nuisance parameter that moves events, one column per plane; None for less than two axes.

    Call inside `hep_style`.
    """
    moving = [k for k in shown_names(inputs) if _moves(inputs, k)]
    if inputs.dimensions < 2 or not moving:
        return None
    planes = shown_planes(inputs, moving)
    if len(planes) == 1:
        figure, panels = _grid(len(moving))
    else:
        figure = new_figure(2.75 * len(moving), 1.45 * WIDTH)
        panels = figure.subplots(len(moving), len(planes), squeeze=False, sharex="col", sharey="col").ravel()
    cases = [(nuisance, plane) for nuisance in moving for plane in planes]
    factors = []
    for panel, (nuisance, plane) in zip(panels, cases, strict=False):
        factors.append(_field(panel, inputs, nuisance, plane))
        panel.set_title(f"{inputs.names[nuisance]} (arrows × {number(factors[-1])})", loc="left", fontsize=9.5)
        if panel.get_subplotspec().is_last_row() or len(planes) == 1:
            panel.set_xlabel(inputs.axis_name(plane[0]), loc="center")
        panel.set_ylabel(inputs.axis_name(plane[1]), loc="center")
    for panel in panels[len(cases) :]:
        panel.set_axis_off()
    shown = ", ".join(inputs.names[k] for k in moving)
    where = " and ".join(f"{inputs.axis_name(x)}, {inputs.axis_name(y)}" for x, y in planes)
    return Plot("flow", figure, f"Mean displacements of events by {shown} in the planes {where}.", _caption(inputs))


def _grid(n: int) -> tuple[Figure, NDArray[np.object_]]:
    columns = min(n, 2)
    rows = -(-n // columns)
    figure = new_figure(3.0 * rows, WIDTH if columns == 1 else 1.45 * WIDTH)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()


def _moves(inputs: SystematicsInputs, nuisance: int) -> bool:
    slope, there = displacement(inputs, nuisance)
    return bool((np.abs(slope[there]) > STILL).any())


def _field(axis: Axes, inputs: SystematicsInputs, nuisance: int, plane: tuple[int, int]) -> float:
    """Draw one panel; how much longer the arrows are than the displacements."""
    bins = int(np.clip(np.sqrt(inputs.selected.sum() / PER_BIN), *BINS))
    edges = tuple(edges_of(inputs, column, bins) for column in plane)
    places, arrows = _means(inputs, nuisance, plane, edges)
    factor = _factor(arrows, edges)
    chosen = inputs.selected
    fine = tuple(edges_of(inputs, column, CONTOUR_BINS) for column in plane)
    points = inputs.z[chosen][:, list(plane)]
    contours(axis, points, (fine[0], fine[1]), CLOUD, weight=inputs.weight[chosen], filled=True, width=0.6)
    axis.quiver(
        *places.T,
        *(factor * arrows).T,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color=LEARNED,
        width=0.005,
        headwidth=4.0,
        zorder=3,
    )
    axis.set_xlim(edges[0][0], edges[0][-1])
    axis.set_ylim(edges[1][0], edges[1][-1])
    axis.minorticks_off()
    return factor


def _means(
    inputs: SystematicsInputs, nuisance: int, plane: tuple[int, int], edges: tuple[Array, ...]
) -> tuple[Array, Array]:
    """Mean places (b, 2) and displacements (b, 2) of the events of every bin with enough of them."""
    slope, there = displacement(inputs, nuisance)
    weight = inputs.weight[there].astype(np.float64)
    points = [inputs.z[there, column].astype(np.float64) for column in plane]
    counts = np.histogramdd(points, bins=edges)[0]
    total = np.histogramdd(points, bins=edges, weights=weight)[0]
    good = (counts >= LEAST) & (total > 0)

    def mean(values: Array) -> Array:
        sums: Array = np.histogramdd(points, bins=edges, weights=weight * values)[0]
        means: Array = sums[good] / total[good]
        return means

    places = np.stack([mean(point) for point in points], axis=1)
    return places, np.stack([mean(slope[there, column]) for column in plane], axis=1)


def _factor(arrows: Array, edges: tuple[Array, ...]) -> float:
    """The largest round number (1, 2, 5, 10, ...) that leaves long arrows not much longer than a bin."""
    steps = np.array([edge[1] - edge[0] for edge in edges])
    if not len(arrows):
        return 1.0
    longest = float(np.quantile(np.hypot(*(arrows / steps).T), TYPICAL))
    if longest <= STILL:
        return 1.0
    wanted = LONG / longest
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(power * max(step for step in ROUND if step <= wanted / power))


def _caption(inputs: SystematicsInputs) -> str:
    text = (
        "Arrows: the mean displacement of the same events for one standard deviation of the parameter, dz/dν, between "
        f"ν = {inputs.values[0]:+g} and {inputs.values[-1]:+g}, in bins with at least {LEAST} events; drawn longer by "
        "the factor in the title. Grey: 50 % and 90 % of the nominal events. Where arrows point the same way for two "
        "parameters, the embedding cannot tell them apart."
    )
    still = [name for i, name in enumerate(inputs.names) if not _moves(inputs, i)]
    if still:
        text += f" Not shown, since they change weights and move no event: {', '.join(still)}."
    return text
