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
from unseen.power import Contender, Curve, Scan, ToyStore, run_scan
from unseen.power.result import LEVELS, curve_of
from unseen.power.rival import Samples, rival_contender
from unseen.power.run import Toys
from unseen.power.setup import fitted_kernel, scan_of
from unseen.power.significance import ENOUGH_BEYOND, significance
from unseen.rivals import choose
from unseen.search.profile_ratio import RatioSource
from unseen.search.scale import Scale, choose_widths
from unseen.seeds import generator
from unseen.study.injections import Search, Shares, find_injections, refined
from unseen.study.settings import PowerConfig, Widths
from unseen.workers import workers

__all__ = ["Values", "percentile_width", "power_numbers"]

Values = dict[str, Any]
COARSE_NULL = 2000  # null toys to find out which numbers of signal events to scan; the scan itself has all of them
REFINEMENTS = 3  # times that numbers of signal events are added where an interval is open
TEST = "test"  # what the one test of a scan is called among its toys
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

    def curve(self, injections: tuple[int, ...], column: int) -> Curve:
        """Return the scan of these numbers of signal events."""
        scan, toys = self._toys(injections, self.config.null_toys)
        reading = self.contender.readings[column]
        return curve_of(scan, reading, self.signal, toys.t[TEST])

    def _toys(self, injections: tuple[int, ...], n_null: int) -> tuple[Scan, Toys]:
        config = self.config
        scan = scan_of(self.settings, (self.signal,), injections, self.samples.expected, config.toys, n_null, self.seed)
        with workers(None, 1, serial=True) as pool:
            candidates, nulls = {TEST: self.contender.candidate}, {TEST: self.contender.needs_null_toys}
            return scan, run_scan(scan, candidates, nulls, self.store, pool)

    def shares(self, n_signal: int, column: int) -> Shares:
        """Return the share of pseudo-data beyond each level, against few null toys."""
        scan, toys = self._toys((n_signal,), min(COARSE_NULL, self.config.null_toys))
        reading, t = self.contender.readings[column], toys.t[TEST]
        null = reading.null(t.get(scan.null(n_signal)), self.signal, 0)
        p = significance(null, reading.of(t[scan.with_signal(self.signal, n_signal)], self.signal, 0)).p
        return {level: float(np.mean(p <= stats.norm.sf(level))) for level in LEVELS}

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
        """The levels to look for."""
        return _levels(self.contender, self.config)


def _levels(contender: Contender, config: PowerConfig) -> tuple[float, ...]:
    """Return the levels that the null resolves."""
    if not contender.needs_null_toys:
        return LEVELS
    return tuple(level for level in LEVELS if config.null_toys * stats.norm.sf(level) >= ENOUGH_BEYOND)


def power_numbers(
    samples: Samples,
    config: PowerConfig,
    seed: int,
    folder: Path,
    widths: Widths = "several",
    ratio: RatioSource | None = None,
    embeddings: tuple[int, ...] | None = None,
) -> tuple[Values, list[str]]:
    """Return the columns `TEST.SIGNAL.n3`, `n3_low`, `n3_high`, `n3_above`, ... and notes on what is unknown.

    TEST is the normalisation of the kernel test, or the name of a rival. `n3_above` says how many signal events were
    not enough. Toys are kept in `folder`, so that this continues where it was stopped. The toys are those of
    `unseen power` with the same events and seed. `ratio`, a function of events, makes the kernel test profile nu, and
    its toys throw it. `embeddings` are the numbers of columns of several embeddings side by side, each with widths of
    its own.
    """
    values: Values = {}
    notes: list[str] = []
    for name, settings, contender in _tests(samples, config, seed, widths, ratio, embeddings):
        resolved = _levels(contender, config)
        notes += [f"{name}: {config.null_toys} null toys do not resolve Z = {k:g}" for k in LEVELS if k not in resolved]
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
    samples: Samples,
    config: PowerConfig,
    seed: int,
    widths: Widths,
    ratio: RatioSource | None,
    embeddings: tuple[int, ...] | None,
) -> Iterator[tuple[str, SearchConfig, Contender]]:
    """Yield the tests one after the other: each holds the features of its toys only as long as it is used."""
    one = percentile_width(samples, ONE_WIDTH, seed) if widths == "one" else None
    for name in config.tests:
        if name != "kernel":
            yield name, config.search("known"), rival_contender(choose(name), samples)
            continue
        for normalisation in config.normalisations:
            settings = config.search(normalisation, one, embeddings)
            yield normalisation, settings, fitted_kernel(settings, samples, seed, ratio)


def percentile_width(samples: Samples, percentile: int, seed: int) -> float:
    """Return one of the automatic widths, in standardised units."""
    x = samples.settings
    z = Scale.measure(x, np.ones(len(x)))(x)
    return choose_widths(f"percentile({percentile})", z, generator(seed, "study", "width"))[0]


def _numbers(study: _Study, column: int) -> tuple[Values, list[str]]:
    """Return the numbers of signal events with their intervals, the scan that they come from, and notes."""
    limit, why = study.limit
    search = Search(study.samples.expected, limit, study.config.factor, study.config.injections)
    bracket = find_injections(search, study.levels, lambda n: study.shares(n, column))
    curve = study.curve(bracket.injections, column)
    for _ in range(REFINEMENTS):
        open_ = [c.n for c in curve.crossings if c.n is not None and None in c.interval]
        wanted = refined(curve.injections, open_, search)
        if wanted == curve.injections:
            break
        curve = study.curve(wanted, column)
    values: Values = {"injections": json.dumps(curve.injections), "median_z": json.dumps(curve.median_z)}
    notes = []
    for crossing in curve.crossings:
        key, short = f"n{crossing.level:g}", crossing.n is None and crossing.level in bracket.out_of_reach
        if crossing.level not in study.levels:
            values |= dict.fromkeys(f"{key}{end}" for end in ("", "_low", "_high", "_above"))
            continue  # that the null does not resolve it is said once
        values |= {key: crossing.n, f"{key}_low": crossing.interval[0], f"{key}_high": crossing.interval[1]}
        values[f"{key}_above"] = limit if short else None
        if short:
            notes.append(f"{key}: more than {limit} signal events, {why}")
        elif crossing.why:
            notes.append(f"{key}: {crossing.why}")
    return values, notes
