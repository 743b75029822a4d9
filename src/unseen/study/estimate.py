"""What a study will cost: counts that are known, and seconds from short measurements on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unseen.embed import train
from unseen.power.rival import Samples
from unseen.power.setup import fitted_kernel
from unseen.seeds import generator
from unseen.study.covariance.moved import nu_grid
from unseen.study.covariance.robustness_columns import signal_numbers
from unseen.study.covariance.settings import CovarianceConfig
from unseen.study.grid import Entry
from unseen.study.measure import one_thread
from unseen.study.pools import StudyPools
from unseen.study.settings import PowerConfig, StudyConfig

__all__ = ["Cost", "estimate", "uncounted"]

STEPS, TIMED_EPOCHS = 6, 4  # of training that are timed
TIMED_TOYS = 100
# Numbers of signal events that a scan typically looks at: those that find the crossings, and those around them.
COARSE, FINE = 6, 5
COARSE_NULL = 2000


@dataclass(frozen=True)
class Cost:
    """Of all entries together: trainings, toys (times widths), and measured seconds on one core.

    `uncounted` is work that is known by its number alone: no second of it is in `seconds`.
    """

    entries: int
    trainings: int
    toys: int
    training_seconds: float
    toy_seconds: float
    uncounted: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Core seconds."""
        return self.training_seconds + self.toy_seconds


def estimate(entries: Sequence[Entry], config: StudyConfig, pools: StudyPools) -> Cost:
    """Measure a few steps of each kind of training and a few toys, and scale them up; within a factor of two or so."""
    rounds = 1 + len(config.leave_out)
    models = [entry for entry in entries if entry.training is not None]
    with one_thread(), TemporaryDirectory() as scratch:
        per_event = {kind: _training(entry, pools, Path(scratch)) for kind, entry in _kinds(models).items()}
        per_toy, per_fit, maps = _toy(config, pools)
    epochs = {entry.name: entry.training.epochs for entry in models if entry.training is not None}
    training = sum(epochs[entry.name] * len(pools.train) * per_event[_kind(entry)] for entry in models) * rounds
    searches = [entry for entry in entries if entry.kind != "ceiling"]
    columns = sum(maps * entry.models if entry.widths == "several" else 1 for entry in searches)
    toys = columns * _scan_toys(config.power, len(config.signals) + len(config.leave_out), rounds)
    fits = len(searches) * rounds * len(config.power.normalisations) * per_fit
    more = uncounted(entries, config, maps)
    trainings = sum(entry.models for entry in models) * rounds
    return Cost(len(entries), trainings, toys, training, toys * per_toy + fits, more)


def _scan_toys(power: PowerConfig, signals: int, nulls: int) -> int:
    """Toys of one entry and width; a test that knows the yield has one null for each of `nulls` references."""
    total = signals * len(power.normalisations) * (COARSE + FINE) * power.toys
    for normalisation in power.normalisations:
        if normalisation == "free":  # its null depends on the number of data events
            total += signals * (FINE * power.null_toys + COARSE * min(COARSE_NULL, power.null_toys))
        else:
            total += nulls * power.null_toys
    return total


def uncounted(entries: Sequence[Entry], config: StudyConfig, maps: int) -> dict[str, int]:
    """Return how much there is to do of what nobody times here, by kind; `maps` are the widths of an entry's test."""
    searches = [entry for entry in entries if entry.kind != "ceiling"]
    found = {
        "fine-tunings": sum(entry.fine_tune is not None for entry in entries) * (1 + len(config.leave_out)),
        "scans with rivals": len(searches) * (1 + len(config.leave_out)) * len({*config.power.tests} - {"kernel"}),
        "ceilings": (len(entries) - len(searches)) * len(config.signals),
        "trials of optuna": 0 if config.optuna is None else config.optuna.trials,
    }
    if config.systematics is not None:
        columns = sum(maps if entry.widths == "several" else 1 for entry in searches)
        learned = sum(entry.fine_tune is None for entry in searches)
        found |= _of_systematics(config.systematics, config, len(searches), columns, learned)
    return {kind: n for kind, n in found.items() if n}


def _of_systematics(
    section: CovarianceConfig, config: StudyConfig, searches: int, columns: int, learned: int
) -> dict[str, int]:
    """Return what is measured under nuisance parameters, of all entries; toys count once for each width."""
    k = len(section.nuisances)
    grid, with_signal = section.robustness_grid(k, config.seed)
    injected = len(signal_numbers(section, config.signals, config.power.n_data))
    data = section.toys * len(grid) + section.signal_toys * len(with_signal) * injected
    kept = config.power.model_copy(update={"normalisations": ("known",)})
    scans = 2 if section.power_kept else 0  # with nu profiled and with nu known
    return {
        "density ratios": learned + (searches if section.information else 0),
        "closure points": searches * len(nu_grid(k, section.values, section.combinations, config.seed)),
        "pull samples": searches * section.pull_points * section.pull_samples,
        **{f"toys times widths ({name})": columns * (section.null_toys + data) for name in section.treatments},
        "toys times widths (power_kept)": columns * scans * _scan_toys(kept, len(config.signals), 1),
    }


def _kind(entry: Entry) -> str:
    assert entry.training is not None
    return f"{entry.training.encoder.name} {entry.training.objective.name} {entry.training.n_views} {entry.models}"


def _kinds(models: Sequence[Entry]) -> dict[str, Entry]:
    return {_kind(entry): entry for entry in reversed(models)}


def _training(entry: Entry, pools: StudyPools, folder: Path) -> float:
    """Return the seconds per event and epoch."""
    assert entry.training is not None
    n = min(len(pools.train), max(200, STEPS * entry.training.batch_size))
    times = []
    # The first loads Lightning; the difference of the others is free of what every training costs once.
    for round_, epochs in enumerate((1, 1, 1 + TIMED_EPOCHS)):
        settings = entry.training.model_copy(update={"epochs": epochs})
        start = time.perf_counter()
        train(pools.train[:n], settings, folder / f"{_kind(entry)}-{round_}", entry.seed)
        times.append(time.perf_counter() - start)
    return max(times[2] - times[1], 0.0) / (TIMED_EPOCHS * n)


def _toy(config: StudyConfig, pools: StudyPools) -> tuple[float, float, int]:
    """Return the seconds of a toy at one width, those of a fit with its null, and the number of widths."""
    rng = generator(config.seed, "study", "estimate")
    parts = (len(pools.settings), len(pools.reference), len(pools.toys), 1000)
    x = [rng.normal(size=(n, 4)) for n in parts]
    power: PowerConfig = config.power
    samples = Samples(x[0], x[1], x[2], {"signal": x[3]}, power.n_data)
    start = time.perf_counter()
    candidate = fitted_kernel(power.search(power.normalisations[0]), samples, config.seed).candidate
    fit = time.perf_counter() - start
    candidate.statistics(0, 1, 1, None, 0, None)  # computes the features
    start = time.perf_counter()
    candidate.statistics(0, TIMED_TOYS, 1, None, 0, None)
    return (time.perf_counter() - start) / TIMED_TOYS, float(np.round(fit, 3)), candidate.columns
