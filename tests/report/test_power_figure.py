"""The figure of a power study, and its numbers in words."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy import stats

from unseen.power import Crossing, Curve, PowerResult
from unseen.power.significance import Significance
from unseen.report.figures.power import power_figure
from unseen.report.power import power_lines
from unseen.report.style import hep_style

INJECTIONS = (0, 20, 40, 80)
CROSSINGS = (
    Crossing(2.0, 38.2, (33.0, 44.51), ""),
    Crossing(3.0, 61.0, (None, None), "the interval leaves the scan; widen it or add toys"),
    Crossing(5.0, None, (None, None), "700 null toys do not resolve Z = 5"),
)


def curve(test: str, signal: str, slope: float, n_null: int | None = 700) -> Curve:
    rng = np.random.default_rng(1)
    resolution = 1e-300 if n_null is None else 1 / (n_null + 1)
    p = [np.maximum(stats.norm.sf(rng.normal(slope * n, 1, 200)), resolution) for n in INJECTIONS]
    found = tuple(Significance(values, resolution, n_null) for values in p)
    return Curve(test, signal, INJECTIONS, found, CROSSINGS)


def result(*curves: Curve, n_data: float | None = 500.0) -> PowerResult:
    return PowerResult(curves, {"options": {} if n_data is None else {"n_data": n_data}})


def drawn(power: PowerResult, published: dict[str, list[tuple[float, float]]] | None = None) -> Figure:
    with hep_style("power"):
        figure = power_figure(power, published)
        figure.savefig(io.BytesIO(), format="png")
    return figure


def points(axis: Axes, *, hollow: bool) -> list[tuple[float, float]]:
    """Return the markers of median Z that are hollow, or not."""
    found: list[tuple[float, float]] = []
    for line in axis.lines:
        if line.get_marker() in ("None", "*", None):
            continue
        if (to_rgba(line.get_markerfacecolor()) == to_rgba("white")) == hollow:
            found += zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True)
    return found


def labels(figure: Figure) -> Sequence[str]:
    assert all(axis.get_legend() is None for axis in figure.axes)
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_one_signal_is_one_row_with_axes_in_words() -> None:
    figure = drawn(result(curve("kernel", "bump", 0.03)))
    left, right = figure.axes
    assert left.get_xlabel() == right.get_xlabel() == "signal events (bump)"
    assert left.get_ylabel() == "median Z"
    assert right.get_ylabel() == r"share with Z $\geq$ 2"
    assert labels(figure) == ["kernel"]
    (top,) = left.child_axes
    assert top.get_xlabel() == "signal / expected background (%)"
    np.testing.assert_allclose(top.get_xlim(), np.array(left.get_xlim()) / 5.0)  # per cent of 500


def test_points_are_the_medians_and_hollow_where_the_null_ends() -> None:
    own = curve("kernel", "bump", 0.08)
    left = drawn(result(own)).axes[0]
    beyond = [z >= own.found[0].largest_z for z in own.median_z]
    assert beyond == [False, False, True, True]
    assert points(left, hollow=False) == list(zip(INJECTIONS[:2], own.median_z[:2], strict=True))
    assert points(left, hollow=True) == list(zip(INJECTIONS[2:], own.median_z[2:], strict=True))
    exact = drawn(result(curve("kernel", "bump", 0.08, None))).axes[0]
    assert not points(exact, hollow=True)


def test_two_signals_and_several_tests_with_published_points() -> None:
    curves = [curve(test, signal, 0.02) for signal in ("bump", "ring") for test in ("kernel", "mmd", "c2st")]
    figure = drawn(result(*curves, n_data=None), {"ring": [(30.0, 1.5), (60.0, 3.1)]})
    assert len(figure.axes) == 4
    assert not figure.axes[0].child_axes
    assert labels(figure) == ["kernel", "mmd", "c2st", "published"]
    stars = [[line for line in axis.lines if line.get_marker() == "*"] for axis in figure.axes]
    assert [len(found) for found in stars] == [0, 0, 1, 0]
    assert list(zip(*stars[2][0].get_data(), strict=True)) == [(30.0, 1.5), (60.0, 3.1)]


def test_published_points_are_named_once_in_the_legend() -> None:
    figure = drawn(result(curve("kernel", "ring", 0.02)), {"ring": [(30.0, 1.5), (60.0, 3.1)]})
    assert labels(figure).count("published") == 1


def test_the_legend_hides_no_curve_and_tests_look_different_but_the_same_everywhere() -> None:
    names = [f"test {i}" for i in range(9)]
    curves = [curve(name, signal, 0.01) for signal in ("bump", "ring") for name in names[signal == "ring" :]]
    figure = drawn(result(*curves))
    (legend,) = figure.legends
    assert labels(figure) == names
    box = legend.get_window_extent()
    assert box.y0 >= 0
    assert all(axis.get_tightbbox().y0 >= box.y1 for axis in figure.axes)

    def looks(axis: Axes) -> dict[str, tuple[object, ...]]:
        errors = {c.get_label(): c.lines[0] for c in axis.containers}
        return {str(k): (line.get_color(), line.get_marker(), line.get_linestyle()) for k, line in errors.items()}

    first, second = looks(figure.axes[1]), looks(figure.axes[3])
    assert len({look[::2] for look in first.values()}) == len(names)
    assert second == {name: first[name] for name in names[1:]}


def test_power_is_drawn_where_its_level_is_resolved() -> None:
    few, exact = curve("mmd", "bump", 0.05, 30), curve("kernel", "bump", 0.05, None)
    assert (few.level, exact.level) == (2.0, 5.0)
    right = drawn(result(exact, few)).axes[1]
    assert right.get_ylabel() == r"share with Z $\geq$ 5"
    assert len(right.containers) == 1
    line = right.containers[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(orig=False), exact.power(5.0))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_power_and_full_power_can_be_drawn(share: float) -> None:
    found = Significance(np.full(50, 0.5 if share == 0 else 1e-9), 1e-300, None)
    drawn(result(Curve("kernel", "bump", (10,), (found,), CROSSINGS)))


def test_lines_say_what_is_known_and_else_why_nothing_is() -> None:
    known = result(curve("kernel", "bump", 0.05)).to_json()
    assert power_lines(known) == ["bump, kernel: N_2 = 38.2 (33 to 44.5); N_3 = 61 (interval open)"]
    why = tuple(Crossing(level, None, (None, None), "more than 80 signal events") for level in (2.0, 3.0))
    own = curve("mmd", "ring", 0.0)
    nothing = Curve(own.test, own.signal, own.injections, own.found, (*why, CROSSINGS[2]))
    (line,) = power_lines(result(nothing).to_json())
    assert line == (
        "ring, mmd: n2: more than 80 signal events; n3: more than 80 signal events; "
        "n5: 700 null toys do not resolve Z = 5"
    )
