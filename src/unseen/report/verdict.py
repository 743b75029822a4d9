"""The verdict: one honest sentence from the JSON form of a search result. Pure text, also for the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from unseen.report.checks import caveats, failed_checks, passed_checks
from unseen.report.wording import count, p_text, percent, z_floor, z_text

__all__ = ["Reading", "beside", "context", "reading", "verdict"]

MILD, STRONG, VERY_STRONG = 2.0, 3.0, 5.0
CONSTRAINED = re.compile(r"constrained\(([0-9.eE+-]+)\)")
COUNTED = ("toys", "permutation", "linear")  # calibrations whose p-value is a rank


@dataclass(frozen=True)
class Reading:
    """What a result may be quoted as: p, Z, whether both are only bounds, and what stands against quoting them."""

    p: float
    z: float
    bound: bool
    problems: tuple[str, ...]

    @property
    def p_words(self) -> str:
        """``p = 0.43``, or ``p < 0.0010`` at the resolution."""
        return f"p < {p_text(self.p, round_up=True)}" if self.bound else f"p = {p_text(self.p)}"

    @property
    def z_words(self) -> str:
        """``Z = 0.2``, or ``Z >= 3.09`` at the resolution."""
        return f"Z >= {z_floor(self.z)}" if self.bound else f"Z = {z_text(self.z)}"


def reading(result: Mapping[str, Any]) -> Reading:
    """Read p and Z off a result, tolerating missing optional keys."""
    p, resolution = _finite(result.get("p_value")), _resolution(result)
    counted = str(result.get("calibration", "toys")) in COUNTED
    bound = bool(result.get("at_resolution", False)) or (counted and p <= resolution * (1 + 1e-9))
    if bound and not math.isnan(resolution):
        p = max(p, resolution)
    z = _finite(result.get("z"))
    if bound or (math.isnan(z) and 0.0 < p < 1.0):
        z = -NormalDist().inv_cdf(p) if 0.0 < p < 1.0 else z
    if p == 1.0 and math.isnan(z):
        z = -math.inf
    return Reading(p, z, bound, tuple(_problems(result, p, z)))


def verdict(result: Mapping[str, Any], reference: str = "simulation") -> str:
    """One sentence that says whether the data agree with the reference, and how sure that is.

    >>> verdict({"p_value": 0.43, "z": 0.176, "n_toys": 1000, "converged": True})
    'No disagreement found: p = 0.43 (Z = 0.2).'
    """
    r = reading(result)
    if r.problems:
        numbers = "" if math.isnan(r.p) or r.p == 0.0 else f" The number it gave, {r.p_words}, must not be quoted."
        return f"No statement can be made: {'; '.join(r.problems)}.{numbers}"
    if r.bound:
        return _bounded(r, result, reference)
    numbers = f"{r.p_words} ({r.z_words})"
    if r.z < MILD:
        return f"No disagreement found: {numbers}."
    if r.z < STRONG:
        return f"A mild disagreement between the data and the {reference}, well short of a discovery: {numbers}."
    return f"The data disagree {_strongly(r.z)}with the {reference}: {numbers}."


def context(result: Mapping[str, Any]) -> str:
    """The line below the verdict: what was compared, the normalisation, the calibration."""
    parts = [f"{_event_counts(result)}Normalisation: {_normalisation(result.get('normalisation'))}."]
    n_toys, calibration = int(result.get("n_toys") or 0), str(result.get("calibration", "not stated"))
    parts.append(_calibration(calibration, n_toys))
    if calibration not in COUNTED and reading(result).z > STRONG:
        parts += _tail(calibration, result.get("checks") or {})
    widths = result.get("widths") or ()
    if len(widths) > 1:
        how = str(result.get("combination", "")).replace("_", " ") or "one number"
        parts.append(f"{len(widths)} kernel widths were tried and combined ({how}); the p-value includes that choice.")
    parts += caveats(result.get("checks") or {})
    return " ".join(parts)


def beside(result: Mapping[str, Any]) -> str:
    """The same search with the other normalisation in one sentence; empty where it was not made.

    >>> beside({"beside": {"normalisation": "free", "n_toys": 200, "p_value": 0.43, "z": 0.176}})
    'With free normalisation (shape only; 200 toys): p = 0.43, Z = 0.2.'
    """
    other = result.get("beside")
    if not other:
        return ""
    r, name = reading(other), str(other.get("normalisation", "the other"))
    details = [{"known": "the yield counts", "free": "shape only"}.get(name, "")]
    details.append(f"{count(other['n_toys'])} toys" if other.get("n_toys") else "")
    said = "; ".join(detail for detail in details if detail)
    words = f"no statement can be made: {'; '.join(r.problems)}" if r.problems else f"{r.p_words}, {r.z_words}"
    return f"With {name} normalisation{f' ({said})' if said else ''}: {words}."


def _tail(calibration: str, checks: Mapping[str, Any]) -> list[str]:
    if failed_checks(checks):
        return []
    checked = "whose checks passed" if passed_checks(checks) else "of which no check was recorded"
    return [f"The tail is that of the {calibration} null, {checked}."]


def _bounded(r: Reading, result: Mapping[str, Any], reference: str) -> str:
    n_toys = int(result.get("n_toys") or 0)
    source = f"the resolution of {n_toys} toys" if n_toys else "the resolution of the calibration"
    numbers = f"{r.p_words} ({source}), {r.z_words}"
    if r.z < MILD:
        return f"Too few toys for a statement: no toy was as extreme as the data, but that only gives {numbers}."
    if r.z < STRONG:
        return f"At least a mild disagreement between the data and the {reference}: {numbers}; more toys would tell."
    return f"The data disagree {_strongly(r.z)}with the {reference}: {numbers}."


def _strongly(z: float) -> str:
    return "strongly " if z >= VERY_STRONG else ""


def _problems(result: Mapping[str, Any], p: float, z: float) -> list[str]:
    problems = []
    if not result.get("converged", True):
        problems.append("the fit did not converge")
    failed = failed_checks(result.get("checks") or {})
    if failed:
        problems.append(f"{'a check' if len(failed) == 1 else 'checks'} failed ({', '.join(failed)})")
    if math.isnan(p) or not 0.0 <= p <= 1.0:
        problems.append("the search gave no p-value")
    elif p == 0.0:
        problems.append("the search gave p = 0, which is below what any calibration resolves")
    elif math.isnan(z) and p < 1.0:
        problems.append("the search gave no significance")
    return problems


def _resolution(result: Mapping[str, Any]) -> float:
    """The smallest p that the calibration can give; NaN if it is not known."""
    resolution, n_toys = _finite(result.get("p_resolution")), int(result.get("n_toys") or 0)
    return 1.0 / (n_toys + 1) if math.isnan(resolution) and n_toys else resolution


def _finite(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _calibration(calibration: str, n_toys: int) -> str:
    if not n_toys:
        return f"Calibration: {calibration}."
    toys = f"{count(n_toys)} toys (simulated data sets without signal)"
    return f"Calibration: {toys}." if calibration == "toys" else f"Calibration: {calibration}, {toys}."


def _event_counts(result: Mapping[str, Any]) -> str:
    n_data, expected = result.get("n_data"), result.get("expected")
    if n_data is None:
        return ""
    if expected is None:
        return f"{count(n_data)} events observed. "
    return f"{count(n_data)} events observed, {count(expected)} expected. "


def _normalisation(value: Any) -> str:
    meanings = {
        "known": "known (the expected yield counts as evidence)",
        "free": "free (only the shape counts as evidence)",
    }
    if match := CONSTRAINED.fullmatch(str(value)):
        return (
            f"constrained (the expected yield counts as evidence, within its uncertainty of {percent(float(match[1]))})"
        )
    return meanings.get(str(value), "not stated" if value is None else str(value))
