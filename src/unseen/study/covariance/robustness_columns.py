"""Robustness as columns of a study's row: type-I error and power of every treatment against true nu."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from unseen.search.toys import Index
from unseen.search.validate import Floats
from unseen.seeds import generator, small_seed
from unseen.study.covariance.represented import Represented
from unseen.study.covariance.robustness import Injected, RobustnessCell, robustness
from unseen.study.covariance.settings import CovarianceConfig
from unseen.study.covariance.treatments import Situation

__all__ = ["robustness_columns", "signal_numbers", "summary"]

Values = dict[str, Any]
SIGMAS = 3.0  # of the background: signal events in the data unless their number is given


def signal_numbers(config: CovarianceConfig, signals: Iterable[str], n_data: float) -> dict[str, float]:
    """Return the signal events expected in the data at nu = 0, for each of `signals` that is injected."""
    names = tuple(signals)
    numbers = config.n_signal or dict.fromkeys(names, SIGMAS * n_data**0.5)
    return {name: n for name, n in numbers.items() if name in names}


def robustness_columns(on: Represented) -> Values:
    """Rates of p < 0.05 of every treatment on the grid, without a signal and, where signals are injected, with each."""
    config = on.config
    if not config.treatments:
        return {}
    grid, with_signal = config.robustness_grid(len(on.names), on.seed)
    numbers = signal_numbers(config, on.injected, on.n_data)
    signals = {i: [Injected(name, on.injected[name](grid[i]), n) for name, n in numbers.items()] for i in with_signal}
    reference, pool, same_event = _dealt(on)
    situation = Situation(
        on.settings,
        reference,
        pool,
        on.delta,
        on.n_data,
        n_null=config.null_toys,
        widths=on.widths,
        n_centers=on.n_centers,
        penalty=on.penalty,
        statistic=config.statistic,
        seed=small_seed(on.seed, "study", "robustness"),
        same_event=same_event,
    )
    cells = robustness(
        situation,
        [on.thinned(nu) for nu in grid],
        treatments=config.treatments,
        signals=signals,
        n_toys=config.toys,
        n_signal_toys=config.signal_toys,
    )
    return summary(cells)


def _dealt(on: Represented) -> tuple[Floats, Floats, Index]:
    """Return the judged events that are selected at nu = 0 as reference and pool, and which row each judged event is.

    In the shares of the study's own pools. Null and data are then of the same generated events: a pool that data alone
    come from fluctuates as a whole, which every data set would show as a disagreement.
    """
    nominal = on.thinned(on.zero)
    rows = generator(on.seed, "study", "robustness").permutation(np.flatnonzero(nominal.weights > 0))
    first = round(len(rows) * len(on.reference) / (len(on.reference) + len(on.pool)))
    same_event = np.full(len(nominal.z), -1)
    same_event[rows] = np.arange(len(rows))
    return nominal.z[rows[:first]], nominal.z[rows[first:]], same_event


def summary(cells: Sequence[RobustnessCell]) -> Values:
    """Return the columns of all `cells`: of each treatment, and of each treatment and signal (`robustness.T.S`).

    `.at_zero`, `.lowest`, `.mean`, `.highest`: rates of p < 0.05 at nu = 0 (None where the grid lacks it) and of all
    points; `.lowest_nu`, `.highest_nu`: where, as JSON. With a signal also the median Z: `.z_at_zero`, `.z_lowest`, and
    `.z_largest`, the Z that no data set can exceed: a median Z that equals it is a lower bound.
    """
    values: Values = {}
    for name in dict.fromkeys(cell.treatment for cell in cells):
        mine = [cell for cell in cells if cell.treatment == name]
        for signal in dict.fromkeys(cell.signal for cell in mine):
            place = f"robustness.{name}.{signal}" if signal else f"robustness.{name}"
            found = _of([cell for cell in mine if cell.signal == signal], with_z=bool(signal))
            values |= {f"{place}.{key}": value for key, value in found.items()}
    return values | {"robustness.cells": json.dumps([asdict(cell) for cell in cells])}


def _of(cells: Sequence[RobustnessCell], with_z: bool) -> Values:
    zero = next((cell for cell in cells if not any(cell.nu)), None)
    lowest, highest = (which(cells, key=lambda cell: cell.rate) for which in (min, max))
    values: Values = {
        "at_zero": None if zero is None else zero.rate,
        "lowest": lowest.rate,
        "lowest_nu": json.dumps(lowest.nu),
        "mean": float(np.mean([cell.rate for cell in cells])),
        "highest": highest.rate,
        "highest_nu": json.dumps(highest.nu),
    }
    if with_z:
        values |= {
            "z_at_zero": None if zero is None else zero.median_z,
            "z_lowest": min(cell.median_z for cell in cells),
            "z_largest": lowest.largest_z,
        }
    return values
