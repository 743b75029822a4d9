from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier

from unseen.errors import MissingExtraError, NonFiniteError, NotEnoughEventsError, ShapeError, UnseenError
from unseen.report.figures.latent_processes import latent_corner, process_clouds, signal_clouds
from unseen.report.figures.latent_umap import check_umap, map_figure, umap_points
from unseen.report.style import PROCESS_COLOURS, hep_style


def sample(d: int, n: int = 900) -> dict[str, Any]:
    rng = np.random.default_rng(d)
    target = np.arange(n) % 3
    return {"z": rng.normal(size=(n, d)) + target[:, None], "target": target, "names": ("w", "qcd", "tt")}


def drawn(figure: Figure) -> list[Any]:
    return [axis for axis in figure.axes if axis.axison]


@pytest.mark.parametrize("d", [1, 2, 4, 8, 9])
def test_every_pair_of_the_first_eight_axes_is_drawn(d: int) -> None:
    with hep_style():
        figure = latent_corner(**sample(d), signals={"ato4l": np.full((50, d), 3.0) + np.eye(d)[np.arange(50) % d]})
    shown = min(d, 8)
    assert len(drawn(figure)) == shown * (shown + 1) // 2
    legend = next(axis.get_legend() for axis in figure.axes if axis.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == ["w", "qcd", "tt", "ato4l"]


def test_a_contour_of_normal_events_holds_its_share() -> None:
    """90 % of a standard normal cloud lie within r = sqrt(2 log 10) = 2.15; smoothing by a bin widens it by 1 %."""
    z = np.random.default_rng(0).normal(size=(60_000, 2))
    with hep_style():
        figure = latent_corner(z, np.zeros(60_000, np.int64), ("w",))
    lines = [c for c in drawn(figure)[1].collections if c.get_facecolor().size == 0]
    outer = lines[0].get_paths()[0].vertices
    np.testing.assert_allclose(np.linalg.norm(outer, axis=1), 2.146, rtol=0.08)


def test_the_frame_holds_a_rare_signal_that_lies_outside() -> None:
    with hep_style():
        figure = latent_corner(**sample(2), signals={"far": np.random.default_rng(1).normal(30.0, 1.0, size=(60, 2))})
    assert drawn(figure)[0].get_xlim()[1] > 31


def test_constant_columns_few_events_and_many_processes_are_drawn(tmp_path: Path) -> None:
    with hep_style():
        latent_corner(np.ones((5, 3)), [0, 0, 1, 1, 1], ("w", "qcd")).savefig(tmp_path / "few.png")
        latent_corner(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 12, "abcdefghijkl")
    many = process_clouds(np.ones((60, 2)), np.arange(60) % 12, "abcdefghijkl")
    assert len(many) == len(PROCESS_COLOURS)
    assert many[-1].name == "other"
    assert sum(len(cloud.points) for cloud in many) == 60


def test_the_process_of_most_weight_comes_first_below_the_others() -> None:
    clouds = process_clouds(np.ones((4, 2)), [0, 0, 0, 1], ("w", "qcd"), weight=[1.0, 1.0, 1.0, 9.0])
    assert [cloud.name for cloud in clouds] == ["qcd", "w"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"z": np.ones(900)}, ShapeError, "z has shape"),
        ({"z": np.full((900, 2), np.nan)}, NonFiniteError, "z"),
        ({"target": np.zeros(3)}, ShapeError, "target"),
        ({"signals": {"a": np.ones((5, 3))}}, ShapeError, "signal 'a' has 3 columns"),
        ({"signals": {"a": np.ones((0, 2))}}, NotEnoughEventsError, "signal 'a'"),
        ({"axis_names": ("x",)}, ShapeError, "axis_names"),
    ],
)
def test_unusable_input_is_named(changes: dict[str, Any], error: type[UnseenError], message: str) -> None:
    with pytest.raises(error, match=message), hep_style():
        latent_corner(**(sample(2) | changes))


def test_without_umap_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    for call in (check_umap, lambda: umap_points(np.random.default_rng(0).normal(size=(50, 3)))):
        with pytest.raises(MissingExtraError, match=r"unseen\[umap\]"):
            call()


@pytest.mark.slow
def test_a_map_keeps_two_far_groups_apart_and_repeats() -> None:
    pytest.importorskip("umap", exc_type=ImportError)
    z = np.random.default_rng(0).normal(size=(600, 4)) + np.repeat([0.0, 8.0], 300)[:, None]
    points = umap_points(z, seed=1)
    np.testing.assert_array_equal(points, umap_points(z, seed=1))
    group = np.repeat([0, 1], 300)
    answer = KNeighborsClassifier(5).fit(points[::2], group[::2]).predict(points[1::2])
    np.testing.assert_array_equal(answer, group[1::2])


def test_what_umap_cannot_map_is_named_first() -> None:
    with pytest.raises(NotEnoughEventsError, match="15 neighbours"):
        umap_points(np.ones((15, 2)))
    with pytest.raises(ShapeError):
        umap_points(np.ones(50))
    with pytest.raises(NonFiniteError):
        umap_points(np.full((50, 2), np.inf))


def test_a_map_has_every_event_and_signals_in_front() -> None:
    s = sample(2)
    clouds = process_clouds(**s) + signal_clouds({"ato4l": np.ones((40, 2))}, 2)
    with hep_style():
        axis = map_figure(clouds[::-1]).axes[0]
    assert sum(len(c.get_offsets()) for c in axis.collections) == 940
    assert axis.collections[-1].get_label() == "ato4l"
