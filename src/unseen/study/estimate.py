"""What a study will cost: counts that are known, and seconds from short measurements on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unseen.embed import train
from unseen.power.rival import Samples
from unseen.power.setup import fitted_kernel
from unseen.seeds import generator
from unseen.study.grid import Entry
from unseen.study.measure import one_thread
from unseen.study.pools import StudyPools
from unseen.study.settings import PowerConfig, StudyConfig

__all__ = ["Cost", "estimate"]

STEPS, TIMED_EPOCHS = 6, 4  # of training that are timed
TIMED_TOYS = 100
# Numbers of signal events that a scan typically looks at: those that find the crossings, and those around them.
COARSE, FINE = 6, 5
COARSE_NULL = 2000


@dataclass(frozen=True)
class Cost:
    """Of all entries together: trainings, toys (times widths), and measured seconds on one core."""

    entries: int
    trainings: int
    toys: int
    training_seconds: float
    toy_seconds: float

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
    toys = sum(maps if entry.widths == "several" else 1 for entry in searches) * _toys(config)
    fits = len(searches) * rounds * len(config.power.normalisations) * per_fit
    return Cost(len(entries), len(models) * rounds, toys, training, toys * per_toy + fits)


def _toys(config: StudyConfig) -> int:
    """Toys of one entry and width."""
    power = config.power
    signals = len(config.signals) + len(config.leave_out)
    total = signals * len(power.normalisations) * (COARSE + FINE) * power.toys
    for normalisation in power.normalisations:
        if normalisation == "free":  # its null depends on the number of data events
            total += signals * (FINE * power.null_toys + COARSE * min(COARSE_NULL, power.null_toys))
        else:
            total += (1 + len(config.leave_out)) * power.null_toys
    return total


def _kind(entry: Entry) -> str:
    assert entry.training is not None
    return f"{entry.training.encoder.name} {entry.training.objective.name} {entry.training.n_views}"


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
