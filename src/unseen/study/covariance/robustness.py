"""Robustness: does a search stay true at nu, and does it still see a signal? For each way to treat nu.

Data are drawn from events that were really distorted, with auxiliary measurements thrown around the true nu as in the
search's null. Without signal the rate of p < 0.05 should be 0.05 at every nu.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unseen.power.crossing import median_interval, power_interval
from unseen.search.elsewhere import Other
from unseen.search.toys import Index
from unseen.search.validate import check_disjoint, check_name, row_keys
from unseen.seeds import small_seed
from unseen.study.covariance.moved import Moved
from unseen.study.covariance.treatments import TREATMENTS, Judge, Situation

__all__ = ["LEVEL", "Injected", "RobustnessCell", "robustness"]

LEVEL = 0.05  # p below which a search calls data unusual


@dataclass(frozen=True)
class Injected:
    """Signal events at the same nu as the data: `events`, of which `expected` at nu = 0 are in each data set."""

    name: str
    events: Moved
    expected: float


@dataclass(frozen=True)
class RobustnessCell:
    """One treatment on `n_toys` data sets at one `nu`: the `rate` of p < `LEVEL` with its interval of 68 %, and Z.

    `signal` is empty without one and `rate` the type-I error; else `n_signal` events of it are expected at nu = 0 and
    `rate` is the power. The null has `n_null` toys, so that no Z is above `largest_z` = Z(1 / (n_null + 1)): a median Z
    that equals it is a lower bound.
    """

    treatment: str
    nu: tuple[float, ...]
    signal: str
    n_signal: float
    rate: float
    low: float
    high: float
    median_z: float
    median_z_interval: tuple[float, float]
    largest_z: float
    n_toys: int
    n_null: int


def robustness(
    situation: Situation,
    points: Sequence[Moved],
    *,
    treatments: Sequence[str] = tuple(TREATMENTS),
    signals: Mapping[int, Sequence[Injected]] | None = None,
    n_toys: int = 300,
    n_signal_toys: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[RobustnessCell]:
    """Return the rates of every treatment at all `points`, pools that share no event with those of `situation`.

    Unless `situation.same_event` says which events are the same. A pool of m events of their own fluctuates as a whole,
    the same way in all data sets: t grows by a share of about n_data / m, and the rates with it.
    `signals`: for the index of a point the signals to add there, in `n_signal_toys` data sets (`n_toys` unless given).
    Treatments see the same data sets. `labels` rename them in the result: another embedding is another situation, e.g.
    {"ignored": "invariant"}.
    Errors: UnknownNameError, OverlapError, NotEnoughEventsError, ConvergenceError.
    """
    for name in treatments:
        check_name("treatment", name, TREATMENTS)
    keys = row_keys(situation.pool)
    for point in points if situation.same_event is None else ():
        kept = point.z[point.weights > 0]
        check_disjoint(f"the pool at nu = {np.round(point.nu, 3).tolist()}", row_keys(kept), "the pool for toys", keys)
    cells = []
    for name in treatments:
        judge = TREATMENTS[name](situation)
        label = (labels or {}).get(name, name)
        for i, point in enumerate(points):
            seed = small_seed(situation.seed, "robustness", i)
            for injected in (None, *(signals or {}).get(i, ())):
                n = n_toys if injected is None or n_signal_toys is None else n_signal_toys
                cells.append(_cell(label, judge, situation, point, injected, n, seed))
    return cells


def _cell(
    label: str, judge: Judge, situation: Situation, point: Moved, injected: Injected | None, n_toys: int, seed: int
) -> RobustnessCell:
    others = [_other(point, situation.n_data, situation.same_event)]
    if injected is not None:
        others.append(_other(injected.events, injected.expected))
    found = judge.judge(tuple(others), n_toys, seed, point.nu)
    rate = float(np.mean(found.p < LEVEL))
    low, high = power_interval(rate, n_toys)
    return RobustnessCell(
        label,
        tuple(point.nu.tolist()),
        "" if injected is None else injected.name,
        0.0 if injected is None else injected.expected,
        rate,
        low,
        high,
        float(np.median(found.z)),
        median_interval(found.z),
        found.largest_z,
        n_toys,
        judge.null.n_toys,
    )


def _other(events: Moved, expected: float, same_event: Index | None = None) -> Other:
    kept = events.weights > 0
    owner = None if same_event is None else same_event[kept]
    return Other(events.z[kept], expected * events.rate, events.weights[kept], same_event=owner)
