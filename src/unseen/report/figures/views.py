"""One event and its views in the eta-phi plane: what a contrastive training is told to be the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from unseen.errors import ConfigError, ShapeError
from unseen.events import Events, Schema
from unseen.events.normalisation import Normalisation
from unseen.registry import resolve
from unseen.report.plot import Plot
from unseen.report.style import LEARNED, PROCESS_COLOURS, WIDTH, hep_style, new_figure
from unseen.views import VIEWS, ViewConfig

__all__ = ["SHOWN", "views_figure"]

# Strong enough to be seen in one event; the defaults are weaker.
SHOWN: tuple[Any, ...] = (
    "rotate",
    {"name": "flip", "probability": 1.0},
    {"name": "drop", "probability": 0.4},
    {"name": "mask-features", "collections": ["electrons", "muons", "jets"]},
    {
        "name": "smear-pt",
        "resolution": {"electrons": {"constant": 0.2}, "muons": {"constant": 0.2}, "jets": {"constant": 0.4}},
    },
    {
        "name": "smear-angle",
        "resolution": {"electrons": {"constant": 0.2}, "muons": {"constant": 0.2}, "jets": {"constant": 0.3}},
    },
    {"name": "split", "probability": 1.0, "z_min": 0.3},
    {"name": "scale-energy", "uncertainty": {"electrons": 0.2, "muons": 0.2, "jets": 0.4}},
    {"name": "crop", "abs_eta": [1.0, 1.6], "sector": 1.5},
    {"name": "add-objects", "most": {"electrons": 1, "muons": 2, "jets": 2}},
    "rescale-pt",
    "shift-met",
    "overlay",
    "decay-taus",
    {"name": "kick-met", "mean": 150.0},
)

COLUMNS = 5
ETA_RANGE = 4.3
MET = "met"
MARKERS = ("o", "s", "^", "D", "v", "P")
# Area of a marker in square points per GeV; the smallest one that is still seen, the largest that hides no other.
AREA_PER_GEV, AREA_LEAST, AREA_MOST = 1.3, 10.0, 330.0


def views_figure(events: Events, row: int, views: Sequence[ViewConfig] | None = None, seed: int = 1) -> Plot:
    """A panel for an event and one for each view of it (default: `SHOWN`, for schemas with leptons and jets).

    `events` gives the means for views that need typical values; `row` is the event to draw. Outlines: before the view.
    Errors: ShapeError (no such row), SchemaError (a view needs what the events lack), ConfigError (a view that shows
    another row).
    """
    if not 0 <= row < len(events):
        raise ShapeError(f"no event {row} to draw: there are {len(events)}, counted from 0")
    chosen = list(views) if views is not None else [resolve(item, VIEWS, "view") for item in SHOWN]
    for view in chosen:
        if view.partners:
            raise ConfigError(
                f"'{view.name}' has no panel: it shows another row of the sample; draw that row by itself"
            )
    rows = math.ceil((len(chosen) + 1) / COLUMNS)
    normalisation = Normalisation.fit(events, log_pt=True)
    pair = events[np.array([row, (row + 1) % len(events)])]  # views that mix events take the next one
    both = torch.tensor(pair.objects), torch.tensor(pair.present)
    before = both[0][:1], both[1][:1]
    with hep_style("views"):
        figure = new_figure(1.85 * rows + 0.5, 2.0 * WIDTH)
        axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        _draw(axes[0], events.schema, *_arrays(before), hollow=False)
        axes[0].set_title("the event", loc="left", fontsize=11)
        for i, (axis, view) in enumerate(zip(axes[1:], chosen, strict=False)):
            generator = torch.Generator().manual_seed(seed + i)
            after = view.build(events.schema, normalisation)(*(both if view.mixes else before), generator)
            _draw(axis, events.schema, *_arrays(before), hollow=True)
            _draw(axis, events.schema, *_arrays(after[:2]), hollow=False)
            axis.set_title(view.name, loc="left", fontsize=11, fontfamily="monospace")
        _frame(list(axes), len(chosen) + 1)
        figure.supxlabel("$\\eta$", fontsize=11)
        figure.legend(handles=_legend(events.schema), loc="outside upper center", ncols=6)
    names = ", ".join(view.name for view in chosen)
    return Plot(
        "views",
        figure,
        f"One event in the plane of eta and phi, and the same event after each of {len(chosen)} views: {names}.",
        "One event and what each view makes of it. Markers are objects, their area grows with pt; the line at the "
        "left edge is at the phi of the missing momentum, as long as its pt. Outlines: before the view.",
        wide=True,
    )


def _arrays(event: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    return event[0][0].numpy(), event[1][0].numpy()


def _kinds(schema: Schema) -> list[str]:
    return [c.name for c in schema.collections if c.name != MET]


def _draw(axis: Axes, schema: Schema, objects: np.ndarray, present: np.ndarray, hollow: bool) -> None:
    """The objects of one event, filled or as outlines."""
    pt, eta, phi = (objects[:, schema.feature(name)] for name in ("pt", "eta", "phi"))
    for i, name in enumerate(_kinds(schema)):
        slots = schema.slots(name)
        mine = present[slots]
        colour = PROCESS_COLOURS[i % len(PROCESS_COLOURS)]
        # Markers that reach over the edge in phi come back at the other one.
        axis.scatter(
            np.tile(eta[slots][mine], 3),
            np.concatenate([phi[slots][mine] + turn for turn in (-2 * math.pi, 0.0, 2 * math.pi)]),
            s=np.tile(np.clip(AREA_PER_GEV * pt[slots][mine], AREA_LEAST, AREA_MOST), 3),
            marker=MARKERS[i % len(MARKERS)],
            facecolors="none" if hollow else colour,
            edgecolors="#333333" if hollow else colour,
            linewidths=0.8,
            alpha=0.9 if hollow else 0.75,
            zorder=3 if hollow else 2,
        )
    if schema.has(MET) and present[schema.slots(MET)][0]:
        slot = schema.slots(MET).start
        # 200 GeV of missing momentum reach across the panel.
        length = min(2 * ETA_RANGE, 2 * ETA_RANGE * float(pt[slot]) / 200.0)
        axis.plot(
            [-ETA_RANGE, -ETA_RANGE + length],
            [phi[slot]] * 2,
            color="#333333" if hollow else LEARNED,
            lw=0.9 if hollow else 2.2,
            ls=(0, (3, 2)) if hollow else "-",
            zorder=3 if hollow else 1,
        )


def _frame(axes: list[Axes], used: int) -> None:
    for i, axis in enumerate(axes):
        if i >= used:
            axis.set_visible(False)
            continue
        axis.set_xlim(-ETA_RANGE, ETA_RANGE)
        axis.set_ylim(-math.pi, math.pi)
        axis.set_yticks([-math.pi, 0, math.pi], ["$-\\pi$", "0", "$\\pi$"])
        axis.set_xticks([-3, 0, 3])
        if i % COLUMNS == 0:
            axis.set_ylabel("$\\phi$")
        axis.tick_params(labelbottom=True)


def _legend(schema: Schema) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], ls="", marker=MARKERS[i % len(MARKERS)], color=PROCESS_COLOURS[i % len(PROCESS_COLOURS)], label=n
        )
        for i, n in enumerate(_kinds(schema))
    ]
    if schema.has(MET):
        handles.append(Line2D([], [], color=LEARNED, lw=2.2, label="missing momentum (pt)"))
    return [*handles, Line2D([], [], ls="", marker="o", mfc="none", mec="#333333", label="before")]
