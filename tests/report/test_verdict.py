from __future__ import annotations

from typing import Any

import pytest

from unseen.report import verdict
from unseen.report.checks import caveats, failed_checks
from unseen.report.verdict import context, reading
from unseen.report.wording import duration, p_text, z_text


def result(p: float, z: float, **more: Any) -> dict[str, Any]:
    return {"p_value": p, "z": z, "n_toys": 1000, "p_resolution": 1 / 1001, "converged": True, "checks": {}} | more


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (result(0.43, 0.176), "No disagreement found: p = 0.43 (Z = 0.2)."),
        (result(0.97, -1.88), "No disagreement found: p = 0.97 (Z = -1.9)."),
        (
            result(0.01, 2.326),
            "A mild disagreement between the data and the simulation, well short of a discovery: p = 0.010 (Z = 2.3).",
        ),
        (
            result(0.00137, 2.996, n_toys=10**5, p_resolution=1e-5),
            "A mild disagreement between the data and the simulation, well short of a discovery: "
            "p = 0.0014 (Z = 2.99).",
        ),
        (
            result(1 / 1001, 3.0908, at_resolution=True),
            "The data disagree with the simulation: p < 0.0010 (the resolution of 1000 toys), Z >= 3.09.",
        ),
        (
            result(2e-8, 5.49, calibration="asymptotic", p_resolution=None),
            "The data disagree strongly with the simulation: p = 2.0e-8 (Z = 5.5).",
        ),
        (
            result(1 / 301, 2.713, n_toys=300, p_resolution=1 / 301),
            "At least a mild disagreement between the data and the simulation: p < 0.0034 "
            "(the resolution of 300 toys), Z >= 2.71; more toys would tell.",
        ),
        (
            result(1 / 21, 1.668, n_toys=20, p_resolution=1 / 21),
            "Too few toys for a statement: no toy was as extreme as the data, but that only gives p < 0.048 "
            "(the resolution of 20 toys), Z >= 1.66.",
        ),
        (
            result(0.001, 3.09, converged=False, n_toys=10**5, p_resolution=1e-5),
            "No statement can be made: the fit did not converge. The number it gave, p = 0.0010, must not be quoted.",
        ),
        (
            result(0.2, 0.84, checks={"asymptotic_null": {"passed": False}}),
            "No statement can be made: a check failed (asymptotic null). The number it gave, p = 0.20, must not be "
            "quoted.",
        ),
        ({}, "No statement can be made: the search gave no p-value."),
    ],
)
def test_verdict_sentences(content: dict[str, Any], sentence: str) -> None:
    assert verdict(content) == sentence


def test_zero_is_never_printed() -> None:
    assert "p < 0.0010 " in verdict(result(0.0, float("inf")))
    assert verdict({"p_value": 0.0, "z": None}).startswith("No statement can be made")
    assert verdict({"p_value": 0.0, "z": 40.0, "calibration": "asymptotic"}).startswith("No statement can be made")


def test_nothing_below_three_sigma_is_called_disagreement_outright() -> None:
    for z in (-1.0, 0.0, 1.9, 2.0, 2.5, 2.999):
        assert not verdict(result(0.5, z)).startswith("The data disagree")


def test_z_follows_from_p_where_it_is_missing() -> None:
    assert reading({"p_value": 0.158655}).z == pytest.approx(1.0, abs=1e-3)


def test_context_names_normalisation_toys_and_caveats() -> None:
    text = context(result(0.4, 0.2, normalisation="free", calibration="toys", checks={"pool_overlap": 0.25}))
    assert "free (only the shape counts as evidence)" in text
    assert "1,000 toys" in text
    assert "only 4 times the expected data" in text


def test_a_small_pool_is_no_caveat_where_the_reference_is_redrawn() -> None:
    assert caveats({"pool_overlap": 0.25, "toy_reference": "redrawn"}) == []
    assert len(caveats({"pool_overlap": 0.25, "toy_reference": "fixed"})) == 1


def test_recorded_flags_are_not_failures() -> None:
    checks = {"settings_from_reference": False, "fewer_centers_than_asked": False, "rank": [3], "constant_features": []}
    assert failed_checks(checks) == []
    assert caveats(checks) == []
    assert failed_checks(
        {"linear": {"ok": False}, "moments_passed": False, "x": "failed", "deep": {"a": {"ok": 0}}}
    ) == [
        "linear",
        "moments passed",
        "x",
        "deep: a",
    ]


def test_wording() -> None:
    assert [p_text(p) for p in (0.5, 0.0995, 0.000999, 9.96e-6)] == ["0.50", "0.10", "0.0010", "1.0e-5"]
    assert p_text(1 / 1001, round_up=True) == "0.0010"
    assert p_text(0.00321, round_up=True) == "0.0033"
    assert (z_text(4.96), z_text(-0.01)) == ("4.96", "0.0")
    assert duration(3700) == "1 h 1 min"
