from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.report import ReportInputs, write_report
from unseen.report.page import render

Make = Callable[..., ReportInputs]
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags balance and collects what the tests ask about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(make_inputs: Make, tmp_path_factory: pytest.TempPathFactory) -> str:
    inputs = make_inputs(
        d=3,
        null_combined=np.random.default_rng(0).exponential(size=200),
        combined=4.0,
        history={"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.5], "val_loss": [3.1, None, 1.9]},
        probe={"auc": {"w": 0.9}},
        config_text="seed: 1\nname: <x>",
        provenance={"versions": {"unseen": "0.1.0"}},
        durations={"train": 61.0},
    )
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert write_report(inputs, path) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_tags_balance_and_sections_are_labelled(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert page.startswith("<!DOCTYPE html>")
    assert outline.all("html")[0]["lang"] == "en"
    assert [s["id"] for s in outline.all("section")] == [
        "test",
        "where",
        "physics",
        "events",
        "embedding",
        "provenance",
    ]
    ids = [attrs["id"] for _, attrs in outline.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in outline.all("a")]
    assert all(target and target[1:] in ids for target in targets)


def test_references_inside_figures_resolve(page: str) -> None:
    ids = {attrs["id"] for _, attrs in Outline(page).tags if attrs.get("id")}
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert used <= ids


def test_nothing_is_loaded_from_outside(page: str) -> None:
    assert "http" not in page
    assert not re.search(r"<(script|link|iframe|object|img)\b", page)
    assert "@import" not in page
    for _, attrs in Outline(page).tags:
        for name in ("src", "href", "xlink:href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/png;base64,"))


def test_every_figure_says_in_numbers_what_it_shows(page: str) -> None:
    outline = Outline(page)
    figures, drawings = outline.all("figure"), [s for s in outline.all("svg") if s.get("role") == "img"]
    assert len(figures) == len(drawings) == len(outline.all("figcaption")) == 12
    for drawing in drawings:
        assert re.search(r"\d", drawing["aria-label"] or "")
        assert len(drawing["aria-label"] or "") > 40


def test_table_of_twenty_sorted_by_f(page: str) -> None:
    rows = Outline(page).rows
    start = next(i for i, row in enumerate(rows) if row[:1] == ["rank"])
    events = rows[start + 1 : start + 21]
    assert [row[0] for row in events] == [str(i) for i in range(1, 21)]
    f = [float(row[2]) for row in events]
    assert f == sorted(f, reverse=True)
    assert rows[start][-1] == "truth"
    assert {row[-1] for row in events} <= {"w", "qcd", "z", "ato4l"}


def test_text_is_escaped_and_verdict_ignores_the_truth(page: str) -> None:
    assert "<title>A &lt;small&gt; rehearsal &amp; more</title>" in page
    assert "name: &lt;x&gt;" in page
    sentence = re.search(r'class="sentence">(.*?)</p>', page)
    assert sentence is not None
    assert sentence.group(1).startswith("A mild disagreement")
    assert "ato4l" not in sentence.group(1)


def test_equal_inputs_give_equal_bytes(make_inputs: Make) -> None:
    assert render(make_inputs(events=False)) == render(make_inputs(events=False))


def test_samples_without_events_say_so(make_inputs: Make) -> None:
    page = render(make_inputs(d=2, events=False, axis_names=("mass", "charge")))
    assert "no physics observables" in page
    assert "and the reference" in page
    assert '<th scope="col">mass</th>' in page


NAN_TOYS = np.full((30, 1), np.nan)
CASES: dict[str, dict[str, Any]] = {
    "one axis, one width": {
        "d": 1,
        "n_widths": 1,
        "events": False,
        "result": {"p_value": 0.4, "t": [3.0], "widths": [1.0]},
    },
    "a handful": {"n_reference": 3, "n_data": 1, "null_t": np.ones((1, 1))},
    "constant columns": {
        "events": False,
        "z_reference": np.ones((600, 2), np.float32),
        "z_data": np.ones((150, 2), np.float32),
    },
    "no toys, no keys": {"events": False, "null_t": np.zeros((0, 1)), "result": {}},
    "toys that failed": {"events": False, "null_t": NAN_TOYS, "result": {"p_value": 0.1, "t": [None]}},
    "huge f and t": {"events": False, "f_data": np.full(150, 900.0), "result": {"p_value": 0.001, "t": [1e6, -5.0]}},
    "eight axes, many points": {"d": 8, "n_reference": 4000, "n_data": 2600, "events": False},
}


@pytest.mark.parametrize("case", CASES)
def test_page_survives(case: str, make_inputs: Make) -> None:
    page = render(make_inputs(**CASES[case]))
    assert Outline(page).open == []
    assert len(page) < 3_000_000
    assert ("data:image/png" in page) == (case != "one axis, one width")  # the ratio map is always an image


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"f_data": np.zeros(3)}, ShapeError),
        ({"z_data": np.zeros((150, 5), np.float32)}, ShapeError),
        ({"null_t": np.zeros(5)}, ShapeError),
        ({"axis_names": ("x",)}, ShapeError),
        ({"f_reference": np.full(600, np.nan)}, NonFiniteError),
        ({"z_data": np.zeros((0, 2), np.float32)}, NotEnoughEventsError),
    ],
)
def test_inputs_that_do_not_fit_are_named(changes: dict[str, Any], error: type[Exception], make_inputs: Make) -> None:
    with pytest.raises(error):
        make_inputs(events=False, **changes)
