"""One measured number over another, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["quotient"]


def quotient(
    over: Mapping[str, Any], over_key: str, under: Mapping[str, Any], under_key: str
) -> tuple[float | None, float | None, float | None]:
    """Return the number and the ends of its interval, relative errors added in quadrature; None for what is unknown.

    `KEY`, `KEY_low` and `KEY_high` are what is read. Toys that both numbers share make the truth narrower.
    """
    n, m = over.get(over_key), under.get(under_key)
    if n is None or not m:
        return None, None, None
    ends: list[float | None] = []
    for end, other, sign in (("low", "high", -1.0), ("high", "low", 1.0)):
        theirs, own = over.get(f"{over_key}_{end}"), under.get(f"{under_key}_{other}")
        if not n or not theirs or not own:
            ends.append(None)
        else:
            ends.append(float(n / m * np.exp(sign * np.hypot(np.log(theirs / n), np.log(own / m)))))
    return float(n / m), ends[0], ends[1]
