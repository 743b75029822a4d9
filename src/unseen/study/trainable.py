"""Whether the trainings of a study can work on its events: checked before any of them, and before events are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from unseen.embed import TrainingConfig
from unseen.events import Events, Schema
from unseen.pools import planned_training
from unseen.study.grid import Entry
from unseen.study.settings import StudyConfig
from unseen.training_check import check_settings

__all__ = ["check_trainable", "check_trainable_on", "check_training_of"]


def check_trainable(config: StudyConfig, entries: Iterable[Entry]) -> None:
    """Refuse entries that cannot be trained, by what configuration and schema say. Errors: those of `rehearse`."""
    for entry in entries:
        if entry.training is not None:
            check_training_of(config, entry.training, f"'{entry.name}'", ("", *config.leave_out))


def check_trainable_on(config: StudyConfig, entries: Iterable[Entry], train: Events) -> None:
    """The same with the training events of the study: their schema and their simulation record."""
    numbers = np.bincount(train.label, minlength=len(train.label_names)).tolist()
    counts = dict(zip(train.label_names, numbers, strict=True))
    for entry in entries:
        if entry.training is not None:
            _check(entry.training, train.schema, counts, train.record, f"'{entry.name}'", ("", *config.leave_out))


def check_training_of(config: StudyConfig, training: TrainingConfig, origin: str, without: Iterable[str]) -> None:
    """The same for one training on the pools of a study, `without` each of these processes in turn; "" for none."""
    pools = config.pools
    counts = planned_training(pools.train, pools.train_mixture or pools.mixture)
    _check(training, Schema.load(config.schema_), counts, None, origin, without)


def _check(
    training: TrainingConfig,
    schema: Schema,
    counts: Mapping[str, int],
    record: Collection[str] | None,
    origin: str,
    without: Iterable[str],
) -> None:
    for process in without:
        left = {name: 0 if name == process else count for name, count in counts.items()}
        check_settings(training, schema, left, record, f"{origin} without '{process}'" if process else origin)
