"""What a rival returns: the statistics of one data set, and the calibrated statement for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.rivals.sample import Sample
from unseen.search.assemble import stated
from unseen.search.checks import repeat_checks
from unseen.search.null import Null
from unseen.search.result import SearchResult
from unseen.search.validate import Floats, Keys

__all__ = ["Measured", "conclude"]


@dataclass(frozen=True)
class Measured:
    """The statistics t (columns,) of `n_data` events, in the order of `columns`; larger is more anomalous."""

    columns: tuple[str, ...]
    t: Floats
    n_data: int


def conclude(
    measured: Measured, nulls: dict[str, Null], sample: Sample, normalisation: str, pool: Keys
) -> dict[str, SearchResult]:
    """Return a SearchResult for each column; a rival has no widths, so that `widths` is empty."""
    checks = _checks(measured, sample, pool)
    return {
        column: _result(column, np.array([t]), nulls[column], measured, sample, normalisation, checks)
        for column, t in zip(measured.columns, measured.t, strict=True)
    }


def _result(
    column: str,
    t: Floats,
    null: Null,
    measured: Measured,
    sample: Sample,
    normalisation: str,
    checks: dict[str, Any],
) -> SearchResult:
    """Return the result of one column."""
    p = null.p_value(t)
    return SearchResult(
        **stated(null, p),
        statistic=column,
        normalisation=normalisation,
        t=(float(t[0]),),
        widths=(),
        p_per_width=(p.p,),
        best_width=0,
        converged=True,
        n_reference=len(sample.reference),
        n_data=measured.n_data,
        expected=sample.expected,
        checks=checks,
    )


def _checks(measured: Measured, sample: Sample, pool: Keys) -> dict[str, Any]:
    """Return how the toys relate to the data, under the names that KernelTest uses."""
    n_pool = pool.shape[1]
    return {
        "n_settings": len(sample.settings),
        "settings_from_reference": sample.from_reference,
        "yield_pull": (measured.n_data - sample.expected) / float(np.sqrt(sample.expected)),
        "toy_reference": "redrawn",
        "n_pool": n_pool,
        "pool_overlap": sample.expected / (n_pool + len(sample.reference)),
    } | repeat_checks(sample.keys, pool)
