"""What the checks of a result say: which of them failed, and what a reader should keep in mind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unseen.report.wording import number, percent

__all__ = ["caveats", "failed_checks", "outcome", "passed_checks"]

VERDICTS = ("passed", "ok", "valid")  # names, or ends of names, whose value says whether a check passed
POOL_OVERLAP = 0.05  # expected events over pool events; above it toys share too many events (search.md, section 3)
FAR_OUTSIDE = 0.01


def outcome(name: str, value: Any) -> bool | None:
    """Whether a check passed; None for entries that only inform.

    A check is a mapping with `passed`, `ok` or `valid`, a flag whose name ends so, or the word "passed" or "failed".
    """
    if isinstance(value, Mapping):
        said = [value[key] for key in VERDICTS if key in value]
        return bool(said[0]) if said else None
    if isinstance(value, str) and value.lower() in ("passed", "failed"):
        return value.lower() == "passed"
    if isinstance(value, bool) and name.lower().replace(" ", "_").rpartition("_")[2] in VERDICTS:
        return value
    return None


def failed_checks(checks: Mapping[str, Any]) -> list[str]:
    """Names of the checks that did not pass, nested ones too.

    >>> failed_checks({"null_moments": {"passed": False}, "n_centers": 10, "settings_from_reference": False})
    ['null moments']
    """
    return _with_outcome(checks, False)


def passed_checks(checks: Mapping[str, Any]) -> list[str]:
    """Names of the checks that passed, nested ones too."""
    return _with_outcome(checks, True)


def _with_outcome(checks: Mapping[str, Any], wanted: bool, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in checks.items():
        words = f"{prefix}{name}".replace("_", " ")
        passed = outcome(name, value)
        if passed is wanted:
            found.append(words)
        elif passed is None and isinstance(value, Mapping):
            found += _with_outcome(value, wanted, f"{words}: ")
    return found


def caveats(checks: Mapping[str, Any]) -> list[str]:
    """Sentences on recorded numbers that weaken a result without voiding it."""
    found = []
    overlap, outside = checks.get("pool_overlap"), checks.get("far_outside")
    # Redrawing the reference with the data makes toys right for a pool of any size (unseen.search.toys).
    redrawn = checks.get("toy_reference") == "redrawn"
    if isinstance(overlap, int | float) and overlap > POOL_OVERLAP and not redrawn:
        found.append(
            f"The toys draw from a pool only {number(1 / overlap)} times the expected data, so they share events; p is "
            "less certain than its interval says."
        )
    if isinstance(outside, int | float) and outside > FAR_OUTSIDE:
        found.append(
            f"{percent(outside)} of the data lie farther out than any reference event, where the test sees little."
        )
    if checks.get("fewer_centers_than_asked") is True:
        found.append("The test had fewer kernel centres than asked for.")
    found += _of_ratio((checks.get("nuisances") or {}).get("ratio") or {})
    return found


def _of_ratio(ratio: Mapping[str, Any]) -> list[str]:
    """Sentences on the density ratio that nuisance parameters were profiled with."""
    found = []
    if (ratio.get("closure") or {}).get("untested"):
        found.append("No closure test of the density ratio was recorded: nothing here says that it is right.")
    if (ratio.get("closure") or {}).get("accepted_failure"):
        found.append("The closure test of the density ratio failed, and that was accepted.")
    if (ratio.get("closure") or {}).get("unresolved"):
        found.append("The closure test of the density ratio had too few events to see a shift of its limit.")
    if ratio.get("extrapolated"):
        found.append(
            f"Fitted beyond the range that the density ratio was made for: {', '.join(ratio['extrapolated'])}; the "
            "polynomial is extrapolated."
        )
    return found
