"""N_3 against the dimension of the embedding: a panel for the mean of all signals and one for each signal."""

from __future__ import annotations

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unseen.report.figures.study import StudyTable, draw_number, families, marks
from unseen.report.plot import Plot
from unseen.report.style import WIDTH, new_figure

__all__ = ["decades", "study_dimension"]

HEIGHT = 3.1
COLUMNS = 2
DODGE = 0.12  # families stand beside each other
LINES = {"representation": ("--", ":", "-.", (0, (1, 3))), "ceiling": ("-",)}
DIGITS = ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), (1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9))
FEWEST_TICKS = 3
LINE_COLOUR = "#5a5f66"


def study_dimension(table: StudyTable, group: str, signals: list[str]) -> Plot | None:
    """Return the figure for one test; None where there are no models."""
    models = families(table.rows)
    if not models:
        return None
    panels = [*signals] if len(signals) == 1 else ["", *signals]
    rows = -(-len(panels) // COLUMNS)
    figure = new_figure(HEIGHT * rows + 0.7, width=1.75 * WIDTH)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis, signal in zip(axes, panels, strict=False):
        _panel(axis, table, group, signal)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    handles: dict[str, Artist] = {}
    for axis in axes[: len(panels)]:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=3)
    dims = sorted({int(row["dim"]) for rows_ in models.values() for row in rows_ if row.get("dim") is not None})
    alt = (
        f"N_3 of {sum(map(len, models.values()))} embeddings in {', '.join(map(str, dims))} dimensions for "
        f"{len(signals)} signals, with {table.n_data:g} expected background events."
    )
    caption = (
        "Signal events at which half of the pseudo-data reach Z = 3; lower is better. Bars: 68 %. Hollow triangles: "
        "more than all signal events there are. Lines: representations that were not learned, and the Neyman-Pearson "
        "limit, a classifier that knows the signal. All entries see the same events and toys, so their errors are "
        "correlated."
    )
    return Plot(f"dimension-{group.replace('.', '-')}", figure, alt, caption, wide=True)


def _panel(axis: Axes, table: StudyTable, group: str, signal: str) -> None:
    key = f"{group}.{signal}.n3" if signal else f"{group}.n3"
    drawn = marks(table.rows)
    models = families(table.rows)
    for i, (name, rows) in enumerate(models.items()):
        shift = DODGE * (i - (len(models) - 1) / 2)
        label: str | None = name
        for row in rows:
            if row.get("dim") is not None and draw_number(axis, row["dim"] + shift, row, key, drawn[name], label):
                label = None
        ordered = sorted((row for row in rows if row.get(key) is not None), key=lambda row: row["dim"])
        if len({row["dim"] for row in ordered}) == len(ordered) > 0:  # else there is no line to follow
            x = [row["dim"] + shift for row in ordered]
            axis.plot(x, [row[key] for row in ordered], color=drawn[name].colour, lw=0.9, alpha=0.6)
    _lines(axis, table, key)
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.minorticks_off()
    axis.set_xlabel("dimensions")
    axis.set_ylabel("$N_3$")
    axis.set_title(signal or "geometric mean", loc="left", fontsize=11)
    decades(axis)


def _lines(axis: Axes, table: StudyTable, key: str) -> None:
    """Horizontal lines for what has no dimension to choose."""
    for kind, styles in LINES.items():
        for i, (name, rows) in enumerate(families(table.rows, kind).items()):
            own = key if kind == "representation" else _ceiling_key(key)
            value = rows[0].get(own)
            if value:
                axis.axhline(value, color=LINE_COLOUR, lw=1.1, ls=styles[i % len(styles)], label=name, zorder=0)


def _ceiling_key(key: str) -> str:
    """The ceiling knows the yield, whatever the test."""
    return key if key.startswith("leave_out.") else ".".join(["known", *key.split(".")[1:]])


def decades(axis: Axes) -> None:
    """Put readable numbers on a logarithmic axis that may span less than a decade."""
    low, high = sorted(axis.get_ylim())
    ticks: list[float] = []
    for digits in DIGITS:
        ticks = [m * 10.0**e for e in range(-1, 7) for m in digits if low <= m * 10.0**e <= high]
        if len(ticks) >= FEWEST_TICKS:
            break
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
