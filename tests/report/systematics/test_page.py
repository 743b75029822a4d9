from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.systematics.conftest import IMPACTS, NAMES, OVERLAP, RESULT
from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.report.style import hep_style
from unseen.report.systematics import SystematicsInputs, write_systematics
from unseen.report.systematics.page import render_systematics
from unseen.report.systematics.sections import likeness, systematics_sections

Make = Callable[..., SystematicsInputs]


def figures(page: str) -> list[str]:
    return re.findall(r'<figure id="figure-([^"]+)"', page)


def test_the_page_shows_everything_and_needs_nothing_else(make_inputs: Make, tmp_path: Path) -> None:
    page = write_systematics(make_inputs(n=1500), tmp_path / "s.html").read_text(encoding="utf-8")
    assert figures(page) == ["impact", "pulls", "densities", "responses", "flow", "overlap"]
    assert "profiled: p = 0.30, Z = 0.5; with them ignored: p &lt; 0.010, Z ≥ 2.33" in page
    assert "ato4l looks 80 % like a downward shift of jet-scale" in page
    assert "Freezing jet-scale changes the significance most: from Z = 0.5 to Z = 2.0" in page
    assert "move no event: lepton-efficiency" in page
    assert "http" not in re.sub(r"http://www.w3.org/[^\"]*", "", page)
    assert 'href="report.html"' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_equal_inputs_give_equal_bytes(make_inputs: Make) -> None:
    assert render_systematics(make_inputs(d=1, n=60)) == render_systematics(make_inputs(d=1, n=60))


@pytest.mark.parametrize("d", [1, 6])
def test_embeddings_of_any_dimension_are_drawn(make_inputs: Make, d: int) -> None:
    page = render_systematics(make_inputs(d=d, n=60))
    assert ("flow" in figures(page)) == (d > 1)
    assert ("4 of 6 axes" in page) == (d == 6)


def test_a_run_with_less_says_what_is_missing(make_inputs: Make) -> None:
    result: dict[str, Any] = {**RESULT, "ignored": None}
    inputs = make_inputs(n=60, result=result, overlaps=(), impacts=(), true_nu={}, notes=("Of x there are 3.",))
    page = render_systematics(inputs)
    assert figures(page) == ["pulls", "densities", "flow"]  # too few events for ratios of densities
    assert "no simulated signal" in page
    assert "Of x there are 3." in page
    assert "systematics.impact asks for it" in page


def test_a_change_below_the_error_of_the_toys_is_none(make_inputs: Make) -> None:
    with hep_style():
        first = systematics_sections(make_inputs(n=60, impacts=(IMPACTS[0], IMPACTS[2])))[0]
        bounds = tuple({**row, "p_value": 1 / 101, "z_interval": [2.1, None]} for row in IMPACTS)
        bounded = systematics_sections(make_inputs(n=60, impacts=bounds))[0]
    assert "No parameter frozen alone changes the significance" in first.text
    assert "no change of the significance can be seen" in bounded.text


def test_an_overlap_within_its_error_is_not_named() -> None:
    vague = {**OVERLAP, "cosine": [0.1, 0.0, 0.0], "low": [-0.1, -0.1, -0.1], "high": [0.2, 0.1, 0.1]}
    assert likeness(vague).startswith("ato4l looks like no single parameter;")


def test_only_the_parameters_that_move_most_are_drawn_of_many(make_inputs: Make) -> None:
    names = tuple(f"n{i}" for i in range(9))
    base = make_inputs(d=2, n=400)
    repeated = {
        name: np.tile(getattr(base, name)[:1], (9, *[1] * (getattr(base, name).ndim - 1)))
        for name in ("z_at", "weight_at", "log_ratio")
    }
    inputs = make_inputs(d=2, n=400, names=names, overlaps=(), impacts=(), **repeated)
    assert "Left out because they move the densities less: n6, n7, n8." in render_systematics(inputs)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"log_ratio": np.zeros((3, 2, 7))}, ShapeError),
        ({"names": NAMES[:2]}, ShapeError),
        ({"values": (2.0, -2.0)}, ShapeError),
        ({"axis_names": ("a",)}, ShapeError),
        ({"z": np.full((60, 3), np.nan)}, NonFiniteError),
        ({"weight": np.zeros(60)}, NotEnoughEventsError),
    ],
)
def test_mistakes_are_named(make_inputs: Make, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_inputs(n=60, **changes)
