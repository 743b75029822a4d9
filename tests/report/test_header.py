"""The head of the page without its sections, which are slow to draw."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.report.conftest import RESULT
from unseen.report import ReportInputs, page
from unseen.report.verdict import context

Make = Callable[..., ReportInputs]
BESIDE = {"p_value": 1 / 201, "z": 2.5775, "n_toys": 200, "at_resolution": True, "normalisation": "free"}


@pytest.fixture
def header(make_inputs: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], str]:
    monkeypatch.setattr(page, "sections", lambda inputs: [])
    return lambda changes: page.render(make_inputs(events=False, result=RESULT | changes))


def test_the_other_normalisation_stands_below_the_context(header: Callable[[dict[str, Any]], str]) -> None:
    box = re.search(r'<div class="verdict.*?</div>', header({"beside": BESIDE}), re.DOTALL)
    assert box is not None
    lines = re.findall(r"<p[^>]*>(.*?)</p>", box[0])
    assert lines[1] == context(RESULT).replace("'", "&#39;")
    assert lines[2:] == ["With free normalisation (shape only; 200 toys): p &lt; 0.0050, Z ≥ 2.57."]
    assert "With free" not in header({})


@pytest.mark.parametrize(
    ("changes", "tone"),
    [
        ({"p_value": 0.4, "z": 0.25}, "agree"),
        ({"p_value": 1.0, "z": None}, "agree"),
        ({}, "mild"),
        ({"p_value": 1e-4, "z": 3.72, "n_toys": 10**5, "p_resolution": 1e-5}, "disagree"),
        ({"p_value": 1e-4, "z": 3.72, "n_toys": 10**5, "p_resolution": 1e-5, "converged": False}, "problem"),
        ({"p_value": 0.4, "z": 0.25, "beside": BESIDE}, "agree"),  # the colour is that of the verdict alone
        ({"p_value": None}, "problem"),
    ],
)
def test_the_colour_follows_the_verdict(
    changes: dict[str, Any], tone: str, header: Callable[[dict[str, Any]], str]
) -> None:
    text = header(changes)
    assert f'<div class="verdict {tone}">' in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
