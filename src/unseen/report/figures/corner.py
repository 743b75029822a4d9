"""Corner plot of a run: every latent axis, and every pair of them, by process."""

from __future__ import annotations

import numpy as np

from unseen.report.figures.latent_corner import BINS, MOST_COLUMNS, Cloud, draw_corner
from unseen.report.groups import Group, groups
from unseen.report.inputs import ReportInputs
from unseen.report.planes import edges_of
from unseen.report.plot import Plot
from unseen.report.style import DATA, TRUTH
from unseen.report.wording import count

__all__ = ["corner"]


def corner(inputs: ReportInputs) -> Plot:
    """Lower triangle: contours that hold 50 % and 90 % of a process; diagonal: each axis, normalised."""
    d = min(inputs.dimensions, MOST_COLUMNS)
    parts = groups(inputs)
    edges = [edges_of(inputs, c, BINS) for c in range(d)]
    figure = draw_corner(_clouds(inputs, parts), edges, [inputs.axis_name(c) for c in range(d)])
    return Plot("corner", figure, _alt(inputs, parts, d), _caption(inputs, d), wide=d > 3)


def _clouds(inputs: ReportInputs, parts: list[Group]) -> list[Cloud]:
    clouds = [
        Cloud(g.name, inputs.z_reference[g.mask], inputs.weight_reference[g.mask], g.colour, g.line) for g in parts
    ]
    n = len(inputs.z_data)
    clouds.append(Cloud("data (diagonal)", inputs.z_data, np.ones(n), DATA, width=0.9, pairs=False))
    signal = inputs.is_signal
    if signal is not None and signal.any():
        points = inputs.z_data[signal]
        clouds.append(Cloud(f"{inputs.signal_label} (truth)", points, np.ones(len(points)), TRUTH))
    return clouds


def _alt(inputs: ReportInputs, parts: list[Group], d: int) -> str:
    medians = []
    for group in parts:
        middle = np.median(inputs.z_reference[group.mask][:, :d], axis=0)
        medians.append(f"{group.name} ({', '.join(f'{value:.2g}' for value in middle)})")
    return (
        f"Corner plot of {d} latent axes for {len(parts)} processes and {count(len(inputs.z_data))} data events. "
        f"Medians by process: {'; '.join(medians)}."
    )


def _caption(inputs: ReportInputs, d: int) -> str:
    text = (
        "Diagonal: each latent axis by process, scaled to equal height, with the data in black. Below it: every pair "
        "of axes; the inner contour of a process holds 50 % of its events, the outer one 90 %. Processes that separate "
        "here are told apart by the embedding."
    )
    if d < inputs.dimensions:
        text += f" Only the first {d} of {inputs.dimensions} axes are shown."
    return text
