"""N_2, N_3 and N_5 of the search in one representation, for every signal, test and normalisation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from unseen.config import SearchConfig
from unseen.power import Contender, Curve, ToyStore, power_result, run_scan
from unseen.power.result import LEVELS
from unseen.power.rival import Samples, rival_contender
from unseen.power.setup import fitted_kernel, scan_of
from unseen.power.significance import ENOUGH_BEYOND
from unseen.rivals import choose
from unseen.search.scale import AUTO_PERCENTILES, Scale, choose_widths
from unseen.seeds import generator
from unseen.study.injections import Search, Shares, find_injections
from unseen.study.settings import PowerConfig, Widths
from unseen.workers import workers

__all__ = ["Values", "percentile_width", "power_numbers"]

Values = dict[str, Any]
COARSE_NULL = 2000  # null toys to find out which numbers of signal events to scan; the scan itself has all of them
ONE_WIDTH = 90  # percentile of the pairwise distances: the width of the published searches (arXiv:2204.02317)


@dataclass(frozen=True)
class _Study:
    """One test on one signal: what its scans need."""

    contender: Contender
    settings: SearchConfig
    samples: Samples
    config: PowerConfig
    seed: int
    signal: str
    store: ToyStore

    def curve(self, injections: tuple[int, ...], column: int, n_null: int) -> Curve:
        """Return the scan of these numbers of signal events."""
        config = self.config
        scan = scan_of(self.settings, (self.signal,), injections, self.samples.expected, config.toys, n_null, self.seed)
        with workers(None, 1, serial=True) as pool:
            candidates, nulls = {"test": self.contender.candidate}, {"test": self.contender.needs_null_toys}
            toys = run_scan(scan, candidates, nulls, self.store, pool)
        return power_result(scan, {"test": self.contender}, toys, {}).curves[column]

    def shares(self, n_signal: int, column: int) -> Shares:
        """Return the share of pseudo-data beyond each level, against few null toys."""
        found = self.curve((n_signal,), column, min(COARSE_NULL, self.config.null_toys)).found[0]
        return {level: float(np.mean(found.p <= stats.norm.sf(level))) for level in LEVELS}

    @property
    def limit(self) -> tuple[int, str]:
        """The largest number of signal events that can be injected, and what limits it."""
        there = len(self.samples.signals[self.signal])
        if self.settings.normalisation == "free":
            # Null toys of shape alone hold as many background events as the pseudo-data hold of both.
            room = len(self.samples.pool) - round(self.samples.expected)
            if room < there:
                return room, "which is what the pool for toys can match with background (pools.toys)"
        return there, "which is all there are to inject"

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels that the null resolves; the lowest at least."""
        if not self.contender.needs_null_toys:
            return LEVELS
        n = self.config.null_toys
        return tuple(level for level in LEVELS if n * stats.norm.sf(level) >= ENOUGH_BEYOND) or LEVELS[:1]


def power_numbers(
    samples: Samples, config: PowerConfig, seed: int, folder: Path, widths: Widths = "several"
) -> tuple[Values, list[str]]:
    """Return the columns `TEST.SIGNAL.n3`, `n3_low`, `n3_high`, `n3_above`, ... and notes on what is unknown.

    TEST is the normalisation of the kernel test, or the name of a rival. `n3_above` says how many signal events were
    not enough. Toys are kept in `folder`, so that this continues where it was stopped. The toys are those of
    `unseen power` with the same events and seed.
    """
    values: Values = {}
    notes: list[str] = []
    for name, settings, contender in _tests(samples, config, seed, widths):
        store = ToyStore(folder / name, {"test": name, "expected": samples.expected, "seed": seed})
        for signal in samples.signals:
            study = _Study(contender, settings, samples, config, seed, signal, store)
            for column, reading in enumerate(contender.readings):
                place = f"{name if reading.name == 'kernel' else reading.name}.{signal}"
                found, unknown = _numbers(study, column)
                values |= {f"{place}.{key}": value for key, value in found.items()}
                notes += [f"{place}.{note}" for note in unknown]
    return values, notes


def _tests(
    samples: Samples, config: PowerConfig, seed: int, widths: Widths
) -> Iterator[tuple[str, SearchConfig, Contender]]:
    """Yield the tests one after the other: each holds the features of its toys only as long as it is used."""
    one = percentile_width(samples, ONE_WIDTH, seed) if widths == "one" else None
    for name in config.tests:
        if name != "kernel":
            yield name, config.search("known"), rival_contender(choose(name), samples)
            continue
        for normalisation in config.normalisations:
            settings = config.search(normalisation, one)
            yield normalisation, settings, fitted_kernel(settings, samples, seed)


def percentile_width(samples: Samples, percentile: int, seed: int) -> float:
    """Return one of the automatic widths, in standardised units."""
    x = samples.settings
    z = Scale.measure(x, np.ones(len(x)))(x)
    return choose_widths("auto", z, generator(seed, "study", "width"))[AUTO_PERCENTILES.index(percentile)]


def _numbers(study: _Study, column: int) -> tuple[Values, list[str]]:
    """Return the numbers of signal events with their intervals, the scan that they come from, and notes."""
    limit, why = study.limit
    search = Search(study.samples.expected, limit, study.config.factor, study.config.injections)
    bracket = find_injections(search, study.levels, lambda n: study.shares(n, column))
    curve = study.curve(bracket.injections, column, study.config.null_toys)
    values: Values = {"injections": json.dumps(curve.injections), "median_z": json.dumps(curve.median_z)}
    notes = []
    for crossing in curve.crossings:
        key, short = f"n{crossing.level:g}", crossing.n is None and crossing.level in bracket.out_of_reach
        values |= {key: crossing.n, f"{key}_low": crossing.interval[0], f"{key}_high": crossing.interval[1]}
        values[f"{key}_above"] = limit if short else None
        if short:
            notes.append(f"{key}: more than {limit} signal events, {why}")
        elif crossing.why:
            notes.append(f"{key}: {crossing.why}")
    return values, notes
