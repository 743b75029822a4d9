"""A power study in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["power_lines"]


def power_lines(content: Mapping[str, Any]) -> list[str]:
    """Return one line for each signal and test of a power study's JSON."""
    lines = []
    for signal, tests in content["signals"].items():
        for test, found in tests.items():
            known = [_known(found, level) for level in (2, 3, 5) if found[f"n{level}"] is not None]
            if not known:
                known = [f"{name}: {why}" for name, why in found["notes"].items()]
            lines.append(f"{signal}, {test}: {'; '.join(known)}")
    return lines


def _known(found: Mapping[str, Any], level: int) -> str:
    low, high = found[f"n{level}_interval"]
    ends = "interval open" if low is None or high is None else f"{low:.3g} to {high:.3g}"
    return f"N_{level} = {found[f'n{level}']:.3g} ({ends})"
