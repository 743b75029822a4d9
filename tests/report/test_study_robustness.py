"""Type-I error and power of a study, from invented cells: the table, and what the figures draw."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tests.study.covariance.invented import NAMES, cells
from unseen.report.figures.study import StudyTable
from unseen.report.figures.study_against_nu import study_against_nu
from unseen.report.figures.study_robustness import study_robustness
from unseen.report.plot import inline_svg
from unseen.report.study import markdown, study_figures, study_tables
from unseen.report.study_power import power_table
from unseen.report.style import hep_style
from unseen.study.covariance import RobustnessCell
from unseen.study.covariance.robustness_columns import summary
from unseen.study.covariance.settings import CovarianceConfig


def row(name: str, found: list[RobustnessCell], **more: Any) -> dict[str, Any]:
    columns = {f"nu.{key}": value for key, value in summary(found).items()}
    return {"name": name, "kind": "model", "family": name, "nu.names": json.dumps(NAMES), **columns, **more}


@pytest.fixture(scope="module")
def table() -> StudyTable:
    rows = (row("plain", cells()), row("blind", cells(0.2), **{"fine_tune.method": "invariant"}))
    return StudyTable("Invented", rows, 100.0)


def test_the_table_has_a_line_for_each_entry_and_treatment(table: StudyTable) -> None:
    found = power_table(table)
    assert found is not None
    assert found.head[:5] == ("entry", "treatment", "type-I error: lowest", "mean", "highest")
    assert found.head[5:7] == ("power, heavy: ν = 0", "lowest")
    assert [line[:2] for line in found.rows] == [
        ("plain", "ignored"),
        ("plain", "profiled"),
        ("blind", "ignored"),
        ("blind", "profiled"),
    ]
    profiled = found.rows[1]
    assert profiled[2:5] == ("0.050", "0.050", "0.050")
    assert profiled[5:] == ("0.80 (>2.3)", "0.60 (1.8)") * 2
    assert "7 points ν, 200 data sets each; nulls of 99 toys" in found.caption
    assert "(30 heavy, 30 soft expected at ν = 0), at ν = 0 and the lowest of 7 points, 20 data sets" in found.caption


def test_signals_at_some_points_or_none_are_said() -> None:
    found = power_table(StudyTable("x", (row("plain", cells(points="none")),), 100.0))
    assert found is not None
    assert len(found.head) == 5
    assert found.caption.endswith("No signal was injected.")
    found = power_table(StudyTable("x", (row("plain", cells(points="few")),), 100.0))
    assert found is not None
    assert "the lowest of 3 points" in found.caption
    assert power_table(StudyTable("x", ({"name": "plain", "kind": "model"},), 100.0)) is None


def curve(axis: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the curve of that name."""
    bars = next(bar for bar in axis.containers if bar.get_label() == label)
    return np.asarray(bars[0].get_xdata()), np.asarray(bars[0].get_ydata())


def hollow(axis: Axes) -> list[Line2D]:
    return [line for line in axis.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]


def test_rates_are_drawn_against_nu_with_the_invariant_embedding_beside(table: StudyTable) -> None:
    with hep_style():
        plain, blind = study_against_nu(table)
    assert (plain.name, blind.name) == ("robustness-1-plain", "robustness-2-blind")
    axes = np.reshape(plain.figure.axes, (3, 3))  # without a signal and two with; two parameters and combinations
    assert [axis.get_xlabel() for axis in axes[-1]] == ["jet-scale", "unclustered-met", "all at once: |ν|"]
    x, y = curve(axes[1, 0], "profiled")
    assert np.abs(x - [-2.0, 0.0, 2.0]).max() < 0.2
    assert y == pytest.approx([0.6, 0.8, 0.6])
    assert curve(axes[1, 1], "profiled")[1] == pytest.approx([0.8, 0.8, 0.8])
    assert curve(axes[0, 0], "ignored")[1] == pytest.approx([0.45, 0.05, 0.45])
    assert len(curve(axes[2, 2], "profiled")[0]) == 3  # nu = 0 and two combinations
    labels = axes[0, 0].get_legend_handles_labels()[1]
    assert labels == ["ignored", "profiled", "blind (ignored)"]
    # Where ignoring nu calls signal-free data unusual, its power is drawn hollow: at -2 and 2, not at 0.
    assert not hollow(axes[0, 0])
    assert [len(line.get_xdata()) for line in hollow(axes[1, 0])] == [2, 2]
    assert blind.figure.axes[0].get_legend_handles_labels()[1] == ["ignored", "profiled"]
    assert "Lowest power of any treatment: heavy 0.60" in plain.alt


def test_one_figure_has_all_entries_and_treatments(table: StudyTable) -> None:
    with hep_style():
        plot = study_robustness(table)
    assert plot is not None
    assert len(plot.figure.axes) == 3
    top, heavy, _ = plot.figure.axes
    assert top.get_legend_handles_labels()[1] == ["ignored", "profiled"]
    bars = [line for line in heavy.lines if len(line.get_xdata()) == 2]
    assert [tuple(line.get_ydata()) for line in bars][2] == pytest.approx((0.6, 0.8))
    assert "Highest without one: ignored 0.45, profiled 0.05." in plot.alt


def test_a_parameter_alone_and_a_grid_without_zero_are_drawn() -> None:
    one = CovarianceConfig(
        nuisances=("unclustered-met",), combinations=0, robust_values=(-1.0, 1.0), treatments=("profiled",)
    )
    grid, with_signal = one.robustness_grid(1, 0)
    assert with_signal == [0, 1]  # nothing was injected here once
    found = [
        RobustnessCell("profiled", tuple(nu.tolist()), signal, 3.0, 0.5, 0.4, 0.6, 1.6, (1.5, 1.7), 2.0, 10, 50)
        for nu in grid
        for signal in ("", "heavy")
    ]
    table = StudyTable("x", (row("one", found) | {"nu.names": '["unclustered-met"]'},), 100.0)
    part = power_table(table)
    assert part is not None
    assert part.rows[0][5:] == ("–", "0.50 (1.6)")
    with hep_style():
        plots = study_figures(table)
        assert [plot.name for plot in plots] == ["robustness", "robustness-1-one"]
        for plot in plots:
            assert inline_svg(plot).startswith("<svg")


def test_a_pull_is_shown_with_what_it_was_measured_with() -> None:
    pull = {"nu.pull.error_low": 0.312, "nu.pull.error_high": 0.98, "nu.pull.events": 68.4}
    few = row("few", cells(), **pull, **{"nu.pull.events_wanted": 1000.0})
    enough = few | {"name": "enough", "nu.pull.events": 1000.0}
    found = study_tables(StudyTable("x", (few, enough, row("none", cells())), 100.0))["systematics"]
    at = [found.head.index(name) for name in ("error of ν", "events")]
    shown = [tuple(line[i] for i in at) for line in found.rows]
    assert shown == [("0.31 to 0.98", "68 of 1,000"), ("0.31 to 0.98", "1,000"), ("–", "–")]


def test_the_page_and_the_markdown_have_them(table: StudyTable) -> None:
    assert list(study_tables(table)) == ["systematics", "robustness"]
    assert "| plain | profiled | 0.050 |" in markdown(table)
