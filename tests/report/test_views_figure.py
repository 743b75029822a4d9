from __future__ import annotations

import matplotlib as mpl
import pytest

from tests.views.build import events
from unseen.errors import ConfigError, ShapeError
from unseen.report.figures.views import SHOWN, views_figure
from unseen.report.plot import inline_svg
from unseen.views import VIEWS, FlipConfig


def test_one_panel_for_the_event_and_one_for_each_view() -> None:
    before = dict(mpl.rcParams)
    plot = views_figure(events(50), row=3)
    titles = [axis.get_title(loc="left") for axis in plot.figure.axes if axis.get_visible()]
    names = [item if isinstance(item, str) else item["name"] for item in SHOWN]
    assert titles == ["the event", *names]
    # One of the others, and another row of the sample: neither has a panel.
    assert set(names) == VIEWS.keys() - {"one-of", "resimulate"}
    assert dict(mpl.rcParams) == before
    assert all(name in plot.alt for name in names)


def test_views_of_ones_own_and_equal_seeds() -> None:
    first, again, other = (views_figure(events(50), 3, [VIEWS["rotate"](), FlipConfig()], seed=s) for s in (2, 2, 3))
    assert inline_svg(first) == inline_svg(again)
    assert inline_svg(first) != inline_svg(other)
    with pytest.raises(ShapeError, match="no event 50"):
        views_figure(events(50), 50)
    with pytest.raises(ConfigError, match="'resimulate' has no panel"):
        views_figure(events(50), 3, [VIEWS["resimulate"]()])
