"""The trade-off: what a linear probe reads of the background's classes against what the search sees of signals."""

from __future__ import annotations

import math

from unseen.report.figures.study import StudyTable, draw_number, marks
from unseen.report.figures.study_dimension import decades
from unseen.report.plot import Plot
from unseen.report.style import WIDTH, new_figure

__all__ = ["study_tradeoff"]

HEIGHT = 4.2
PROBES = {"probe.accuracy": "probe accuracy, natural mixture", "probe.balanced_accuracy": "mean recall, balanced probe"}


def study_tradeoff(table: StudyTable, group: str, signals: list[str]) -> Plot | None:
    """Return the figure for one test, with a marker for each entry; None where nothing can be drawn."""
    key = f"{group}.n3"
    rows = [row for row in table.rows if row.get(key) is not None and row.get("probe.accuracy") is not None]
    if not rows:
        return None
    figure = new_figure(HEIGHT, width=1.75 * WIDTH)
    axes = figure.subplots(1, 2, sharey=True)
    drawn = marks(table.rows)
    for axis, (probe, words) in zip(axes, PROBES.items(), strict=True):
        named: set[str] = set()
        for row in rows:
            family, share = row["family"], row[probe]
            error = math.sqrt(share * (1 - share) / row["probe.n_test"]) if probe == "probe.accuracy" else 0.0
            draw_number(axis, share, row, key, drawn[family], None if family in named else family, error)
            named.add(family)
            if row["kind"] == "model" and row.get("dim") is not None:
                axis.annotate(str(row["dim"]), (share, row[key]), (5, 4), textcoords="offset points", fontsize=8)
        axis.set_xlabel(words)
        axis.set_yscale("log")
        axis.minorticks_off()
    decades(axes[0])
    axes[0].invert_yaxis()  # shared: up is more sensitive
    axes[0].set_ylabel("$N_3$, geometric mean (better upwards)")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    best = min(rows, key=lambda row: float(row[key]))
    missing = len([row for row in table.rows if row["kind"] != "ceiling"]) - len(rows)
    alt = (
        f"Trade-off of {len(rows)} representations. Best: {best['name']} with N_3 = {best[key]:.3g} and probe accuracy "
        f"{best['probe.accuracy']:.3f}."
    )
    caption = (
        f"Each marker is one entry, its number the dimension. Upwards: fewer events of the signals "
        f"({', '.join(signals)}) are needed. To the right: the background's processes are easier to tell apart. Bars: "
        "68 %, of the balanced probe not shown."
    )
    if missing:
        caption += f" {missing} entries whose N_3 is not known for every signal are not drawn."
    return Plot(f"tradeoff-{group.replace('.', '-')}", figure, alt, caption, wide=True)
