"""How much an embedding still knows of each nuisance parameter: Fisher information in z over that in the raw inputs.

Per expected event the information of the rate on nu at 0 is E_0[delta delta']. A learned delta that follows noise makes
that too large, so that what it *realises* is measured as well: with the sum of delta_k over events as an estimator,

    (d/dnu_k E_nu[delta_k])^2 / E_0[delta_k^2]  <=  the information (Cauchy and Schwarz),

where E_nu are sums over events really at nu, in units of the nominal yield. It is a lower bound for any delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.errors import ShapeError
from unseen.search.validate import Floats
from unseen.study.covariance.moved import Delta, Moved, coefficients

__all__ = ["Information", "InformationKept", "information", "information_kept"]


@dataclass(frozen=True)
class Information:
    """Per expected event: the Fisher matrix (k, k) of `names`, and what is realised of each parameter with its error.

    `realised` and `realised_error` are None without events at nu.
    """

    names: tuple[str, ...]
    fisher: Floats
    realised: Floats | None = None
    realised_error: Floats | None = None


@dataclass(frozen=True)
class InformationKept:
    """Information in z over that in the raw inputs, for each of `names`: of the ratios, and realised (None without)."""

    names: tuple[str, ...]
    fisher: tuple[float, ...]
    realised: tuple[float, ...] | None
    realised_error: tuple[float, ...] | None


def information(delta: Delta, nominal: Moved, steps: Sequence[tuple[Moved, Moved]] = ()) -> Information:
    """Return the information of events on nu at 0; use events that delta was not fitted on.

    `steps`: for each parameter in turn the events of one pool at +h and at -h of it alone, row by row the same ones.
    Errors: ShapeError.
    """
    found = coefficients("the nominal events", delta, nominal.z)
    shares = nominal.shares
    fisher = (found.linear * shares[:, None]).T @ found.linear
    if not steps:
        return Information(found.names, fisher)
    if len(steps) != found.size:
        raise ShapeError(f"{len(steps)} steps for {found.size} nuisance parameters {found.names}")
    realised, errors = np.empty(found.size), np.empty(found.size)
    for k, (up, down) in enumerate(steps):
        realised[k], errors[k] = _realised(delta, k, up, down, float(fisher[k, k]))
    return Information(found.names, fisher, realised, errors)


def information_kept(embedded: Information, raw: Information) -> InformationKept:
    """Return what is kept in z; near 0 / 0 there is nothing to keep (NaN)."""
    if embedded.names != raw.names:
        raise ShapeError(f"the information is on {embedded.names} in z and on {raw.names} in the raw inputs")
    fisher = _ratio(np.diagonal(embedded.fisher), np.diagonal(raw.fisher))
    if embedded.realised is None or raw.realised is None:
        return InformationKept(raw.names, tuple(fisher.tolist()), None, None)
    kept = _ratio(embedded.realised, raw.realised)
    assert embedded.realised_error is not None
    assert raw.realised_error is not None
    relative = np.hypot(_ratio(embedded.realised_error, embedded.realised), _ratio(raw.realised_error, raw.realised))
    return InformationKept(raw.names, tuple(fisher.tolist()), tuple(kept.tolist()), tuple((kept * relative).tolist()))


def _realised(delta: Delta, k: int, up: Moved, down: Moved, square: float) -> tuple[float, float]:
    """Return the realised information on parameter k and its standard error."""
    step = float(up.nu[k] - down.nu[k])
    if step <= 0 or len(up.z) != len(down.z):
        raise ShapeError(f"steps of parameter {k} go from {down.nu.tolist()} to {up.nu.tolist()}, of the same events")
    terms = [
        coefficients("the events at nu", delta, side.z, len(side.nu)).linear[:, k] * side.shares for side in (up, down)
    ]
    each = (terms[0] - terms[1]) / step
    slope, error = float(each.sum()), float(np.sqrt(np.square(each - each.mean()).sum()))
    if square <= 0:
        return 0.0, 0.0
    return slope**2 / square, 2.0 * abs(slope) * error / square


def _ratio(over: Floats, under: Floats) -> Floats:
    ratio: Floats = np.full(len(over), np.nan)
    np.divide(over, under, out=ratio, where=np.asarray(under) > 0)
    return ratio
