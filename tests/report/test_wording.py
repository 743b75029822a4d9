from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from unseen.report import beside, verdict
from unseen.report.checks import failed_checks, passed_checks
from unseen.report.verdict import context, reading
from unseen.report.wording import count, duration, number, p_text, percent, plain, typeset, z_floor, z_text


def result(**more: Any) -> dict[str, Any]:
    return {"p_value": 0.43, "z": 0.176, "n_toys": 1000, "p_resolution": 1 / 1001, "converged": True} | more


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (
            {"p_value": 1 / 201, "z": 2.5775, "n_toys": 200, "at_resolution": True, "normalisation": "free"},
            "With free normalisation (shape only; 200 toys): p < 0.0050, Z >= 2.57.",
        ),
        (
            {"p_value": 0.02, "z": 2.054, "n_toys": 2000, "normalisation": "known"},
            "With known normalisation (the yield counts; 2,000 toys): p = 0.020, Z = 2.1.",
        ),
        (
            {"p_value": 0.02, "z": 2.054, "converged": False, "normalisation": "free"},
            "With free normalisation (shape only): no statement can be made: the fit did not converge.",
        ),
        (None, ""),
        ({}, ""),
    ],
)
def test_the_other_normalisation_in_one_sentence(other: dict[str, Any] | None, sentence: str) -> None:
    content = result(beside=other)
    assert beside(content) == sentence
    assert verdict(content) == verdict(result())  # the verdict is about the one that was asked for


def test_the_words_for_the_other_normalisation_follow_the_rules_of_the_verdict() -> None:
    """A rank at the resolution is a bound although nothing says so, and no bound is rounded in favour of the claim."""
    for n_toys in (19, 99, 200, 999, 5000):
        resolution = 1 / (n_toys + 1)
        text = beside({"beside": {"p_value": resolution, "z": 9.9, "n_toys": n_toys, "normalisation": "free"}})
        p, z = (float(part.split()[-1].rstrip(".,")) for part in text.split(": ")[1].removesuffix(".").split(", "))
        assert "p < " in text
        assert "Z >= " in text
        assert p >= resolution
        assert z <= reading({"p_value": resolution, "n_toys": 10**9}).z


def test_p_of_one_is_agreement() -> None:
    for z in (None, float("-inf")):
        said = verdict({"p_value": 1.0, "z": z, "n_toys": 100, "converged": True})
        assert said.startswith("No disagreement found: p = 1.0")
        assert "nan" not in said
        assert "inf" not in said


def test_tiny_p_of_a_bound_keeps_its_significance() -> None:
    """1 - p is 1 in floating point long before p is 0."""
    r = reading({"p_value": 1e-18, "z": None, "n_toys": 0, "calibration": "asymptotic"})
    assert r.z == pytest.approx(8.757, abs=1e-3)


def test_a_tail_is_only_said_to_be_checked_where_a_check_passed() -> None:
    far = result(p_value=2e-8, z=5.49, calibration="asymptotic", p_resolution=None)
    assert "of which no check was recorded" in context(far)
    assert "of which no check was recorded" in context(far | {"checks": {"n_centers": 300}})
    assert "whose checks passed" in context(far | {"checks": {"asymptotic_null": {"passed": True}}})
    assert "tail" not in context(far | {"checks": {"asymptotic_null": {"passed": False}}})
    assert "tail" not in context(far | {"calibration": "toys"})
    assert "tail" not in context(far | {"p_value": 0.3, "z": 0.52})


def test_context_counts_widths_and_says_what_weakens_a_result() -> None:
    text = context(result(widths=[0.5, 1.0, 2.0], combination="smallest_p", n_data=1234, expected=1200.0))
    assert text.startswith("1,234 events observed, 1,200 expected.")
    assert "3 kernel widths were tried and combined (smallest p); the p-value includes that choice." in text
    assert "tried" not in context(result(widths=[0.5]))
    assert "fewer kernel centres than asked" in context(result(checks={"fewer_centers_than_asked": True}))
    assert "2 % of the data lie farther out" in context(result(checks={"far_outside": 0.02}))


def test_passed_and_failed_checks_are_apart() -> None:
    checks = {"a": {"passed": True}, "b_ok": False, "deep": {"c": {"valid": True}, "d": "failed"}, "number": 3}
    assert passed_checks(checks) == ["a", "deep: c"]
    assert failed_checks(checks) == ["b ok", "deep: d"]


def test_p_texts_have_two_digits_and_bounds_stay_true() -> None:
    for p in np.exp(np.random.default_rng(0).uniform(math.log(1e-9), 0, 500)):
        assert float(p_text(p)) == pytest.approx(p, rel=0.051)
        assert float(p_text(p, round_up=True)) >= p * (1 - 1e-9)
        assert float(p_text(p, round_up=True)) <= 1.1 * p * (1 + 1e-9)
    assert [p_text(p) for p in (1.0, 0.0, -0.1, math.nan)] == ["1.0", *3 * ["not available"]]


def test_z_texts_claim_no_more_than_z() -> None:
    for z in np.random.default_rng(0).uniform(-3, 8, 500):
        assert float(z_floor(z)) <= z + 1e-9
        assert all((float(z_text(z)) >= step) == (z >= step) for step in (2, 3, 5))
    assert (z_text(math.nan), z_text(-math.inf)) == ("not available", "not available")


def test_numbers_keep_three_digits_and_no_exponent_below_a_million() -> None:
    assert [number(v) for v in (0.1234, 12.34, 999.4, 999.6, -999.7, 1234.5)] == [
        "0.123",
        "12.3",
        "999",
        "1,000",
        "-1,000",
        "1,234",
    ]
    assert [percent(v) for v in (0.0123, 0.5, 0.996, 0.99999, 1.0)] == [
        "1.2 %",
        "50 %",
        "over 99 %",
        "over 99 %",
        "100 %",
    ]
    assert [count(v) for v in (3, 2.5, 99.0, 1234.4)] == ["3", "2.5", "99", "1,234"]
    assert [duration(v) for v in (0.04, 59.94, 59.97, 3599.7)] == ["0.0 s", "59.9 s", "1 min 0 s", "1 h 0 min"]
    assert plain({"a": [True, None, 1.23456], "b": "x"}) == "a: yes, –, 1.235, b: x"
    assert typeset("Z >= 3") == "Z ≥ 3"
