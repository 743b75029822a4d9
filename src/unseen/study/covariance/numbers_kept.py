"""What covariance costs: N_3 of one search over that of another, from the columns of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unseen.errors import UnknownNameError, did_you_mean
from unseen.study.quotient import quotient

__all__ = ["NumberRatio", "number_ratio"]


@dataclass(frozen=True)
class NumberRatio:
    """`value` of N after over N before with the interval of 68 %; None where one of them is not known.

    `at_least`: where `after` is beyond all signal events there were. Relative errors of both are added in quadrature:
    toys that both share make the truth narrower.
    """

    signal: str
    value: float | None
    interval: tuple[float | None, float | None]
    at_least: float | None = None


def number_ratio(
    before: Mapping[str, Any], after: Mapping[str, Any], signal: str, *, test: str = "known", level: float = 3.0
) -> NumberRatio:
    """Return N of `after` over that of `before` for one signal, from columns such as `power_numbers` gives.

    Anomaly preserved: the embeddings after and before stage B. Power kept: the search that profiles nu over the one
    that knows it. Raises UnknownNameError if a signal or test was not measured.
    """
    key = f"{test}.{signal}.n{level:g}"
    for values in (before, after):
        if key not in values:
            known = sorted(name.rsplit(".", 1)[0] for name in values if name.endswith(f".n{level:g}"))
            raise UnknownNameError(f"no numbers of '{test}.{signal}'{did_you_mean(f'{test}.{signal}', known)}")
    value, *ends = quotient(after, key, before, key)
    n, beyond = before[key], after.get(f"{key}_above")
    least = beyond / n if value is None and beyond is not None and n else None
    return NumberRatio(signal, value, (ends[0], ends[1]), least)
