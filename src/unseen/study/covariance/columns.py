"""All that a study measures of one representation under nuisance parameters, as columns `nu.*` of its row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from unseen.errors import ConvergenceError, NotEnoughEventsError
from unseen.rivals.supervised import learn_log_ratio
from unseen.search.validate import Floats
from unseen.seeds import generator, small_seed
from unseen.study.covariance.closure import ClosurePoint, closure_frame, closure_record, closures
from unseen.study.covariance.information import information, information_kept
from unseen.study.covariance.moved import Moved
from unseen.study.covariance.overlap import overlap
from unseen.study.covariance.predictability import predictability
from unseen.study.covariance.pull import FEWEST_SAMPLES_WORTH, pulls
from unseen.study.covariance.represented import Represented
from unseen.study.covariance.robustness_columns import robustness_columns
from unseen.systematics.ratio import Closure

__all__ = ["COLUMNS", "covariance_columns"]

Values = dict[str, Any]


def closure_columns(on: Represented) -> Values:
    """Closure on the grid and the moments' predictability, which look at the same events."""
    nominal = np.concatenate([on.reference, on.pool])
    frame = closure_frame(
        nominal,
        on.delta,
        on.n_data,
        settings=on.settings,
        n_reference=len(on.reference),
        widths=on.widths,
        n_centers=on.n_centers,
        penalty=on.penalty,
        seed=small_seed(on.seed, "study", "closure"),
    )
    zero, points = on.judged(on.zero), [on.judged(nu) for nu in on.grid]
    found = closures(frame, points, at_zero=zero, with_auc=on.config.auc, seed=on.seed)
    moments = predictability(zero, points, on.delta)
    moving = [moment for moment in moments if moment.moves]
    r2 = [moment.r2 for moment in moving if moment.r2 is not None]
    polynomial = [moment.r2_polynomial for moment in moving if moment.r2_polynomial is not None]
    return _closure_summary(closure_record(found, on.n_data), found) | {
        "predictability.n_moving": len(moving),
        "predictability.r2": min(r2, default=None),
        "predictability.r2_polynomial": min(polynomial, default=None),
        "predictability.noise": max((m.noise for m in moving if m.noise is not None), default=None),
        "predictability.moments": json.dumps([asdict(moment) for moment in moments]),
    }


def _closure_summary(record: Closure, points: Sequence[ClosurePoint]) -> Values:
    at = record.worst
    aucs = [point.auc for point in points if point.auc is not None]
    ignored = [point.auc_ignored for point in points if point.auc_ignored is not None]
    return {
        "closure": record.shift[at],
        "closure.error": record.error[at],
        "closure.nu": json.dumps(record.nu[at]),
        "closure.mean": float(np.mean(record.shift)),
        "closure.ignored": max(record.unweighted),
        "closure.auc": max((auc for auc, _ in aucs), default=None),
        "closure.auc_ignored": max((auc for auc, _ in ignored), default=None),
        "closure.points": json.dumps([asdict(point) for point in points]),
    }


def pull_columns(on: Represented) -> Values:
    """Pulls at nu = 0 and at combinations of all parameters; pools are paired, so that their fluctuation cancels.

    A sample has fewer events than asked for where the pool is worth less than 100 of them.
    """
    config, zero = on.config, on.judged(on.zero)
    if config.pull_points == 0:
        return {}
    effective = float(zero.nominal.sum() ** 2 / np.square(zero.nominal).sum())
    events = min(config.pull_events, effective / FEWEST_SAMPLES_WORTH)
    if events < config.pull_events / 10:
        raise NotEnoughEventsError(
            f"pulls of {config.pull_events:g} events need a pool of {FEWEST_SAMPLES_WORTH:g} times as many, the one "
            f"set apart is worth {effective:.0f}: raise systematics.share or lower pull_events"
        )
    k = len(on.names)
    rng = generator(on.seed, "study", "pull")
    grid = [on.zero, *(np.clip(rng.normal(size=k), -2.0, 2.0) for _ in range(config.pull_points - 1))]
    points = [
        pulls(
            zero.z,
            on.delta,
            on.judged(nu),
            weights=zero.weights,
            n_events=events,
            n_samples=config.pull_samples,
            paired=True,
            seed=on.seed,
        )
        for nu in grid
    ]
    bias = max((b, e) for point in points for b, e in zip(np.abs(point.bias), point.bias_error, strict=True))
    widths = [width for point in points for width in point.width]
    inside = [share for point in points for share in point.coverage]
    errors = [error for point in points for error in point.error]
    return {
        "pull.events": events,
        "pull.events_wanted": config.pull_events,
        "pull.bias": float(bias[0]),
        "pull.bias_error": bias[1],
        "pull.width_low": min(widths),
        "pull.width_high": max(widths),
        "pull.coverage_low": min(inside),
        "pull.coverage_high": max(inside),
        "pull.error_low": min(errors),
        "pull.error_high": max(errors),
        "pull.points": json.dumps([asdict(point) for point in points]),
    }


def information_columns(on: Represented) -> Values:
    """Fisher information kept of each parameter."""
    if not on.config.information or on.raw is None:
        return {}
    found = []
    for delta, at in ((on.delta, on.judged), on.raw):
        unit = np.eye(len(on.names))
        found.append(information(delta, at(on.zero), [(at(step), at(-step)) for step in unit]))
    kept = information_kept(*found)
    values: Values = {}
    for i, name in enumerate(on.names):
        values[f"information.{name}"] = kept.fisher[i]
        values[f"information.{name}.realised"] = None if kept.realised is None else kept.realised[i]
        values[f"information.{name}.realised_error"] = None if kept.realised_error is None else kept.realised_error[i]
    return {key: None if value is not None and not np.isfinite(value) else value for key, value in values.items()}


def overlap_columns(on: Represented) -> Values:
    """What each signal looks like."""
    if not on.config.overlap:
        return {}
    background, learn = on.learn
    values: Values = {}
    for name, at in on.signals.items():
        rng = generator(on.seed, "study", "overlap", name)
        log_ratio = learn_log_ratio(background, learn[name], rng)
        found = overlap(np.concatenate([on.reference, on.pool]), _selected(at(on.zero)), on.delta, log_ratio, on.n_data)
        values |= {f"overlap.{name}.{k}": c for k, c in zip(found.names, found.cosine, strict=True)}
        values |= {
            f"overlap.{name}.looks_like": found.looks_like,
            f"overlap.{name}.closest": found.closest,
            f"overlap.{name}.all": json.dumps(asdict(found) | {"among": found.among.tolist()}),
        }
    return values


# Extending: a function of a representation, and one line here.
COLUMNS = {
    "closure": closure_columns,
    "pull": pull_columns,
    "information": information_columns,
    "overlap": overlap_columns,
    "robustness": robustness_columns,
}


def covariance_columns(on: Represented) -> tuple[Values, list[str]]:
    """Return all columns of one representation, and notes on measurements that its events cannot serve."""
    values: Values = {"nu.names": json.dumps(on.names)}
    notes = []
    for name, make in COLUMNS.items():
        try:
            values |= {f"nu.{key}": value for key, value in make(on).items()}
        except (NotEnoughEventsError, ConvergenceError) as error:
            notes.append(f"nu.{name}: {error}")
    return values, notes


def _selected(events: Moved) -> Floats:
    found: Floats = events.z[events.weights > 0]
    return found
