"""The events of a run, dealt into pools: disjoint, and asserted to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unseen.config import Config
from unseen.errors import NotEnoughEventsError, UnknownProcessError, did_you_mean
from unseen.events import Events, Schema, read
from unseen.pools import assert_disjoint, draw_pools
from unseen.seeds import generator
from unseen.sources import RATIO, by_label, data_headroom, load_role, plan, read_files
from unseen.stored import ROW, Rows, Stored, distorted_data, weighted_to, without_row

__all__ = ["RATIO", "SIGNALS", "TUNING", "load_pools", "take_training", "training_inputs"]

SIGNALS = "signals"  # the pool of selected events of processes that are in no mixture
TUNING = "fine-tuning"  # the training events, and those stored beside them that do not pass the selection


def load_pools(config: Config, folder: Path) -> tuple[Events, dict[str, Events]]:
    """The training events, and the pools settings, reference, toys and data: disjoint, and asserted to be.

    Errors: NotEnoughEventsError, UnknownProcessError, OverlapError.
    """
    needed = plan(config)
    deal = {pool: by_label(config, counts) for pool, counts in needed.test.items() if pool != RATIO}
    stored = _stored(config, folder) if config.systematics else None
    test, train = _selected(config, folder, stored)
    wanted = by_label(config, needed.train)
    # Of a process without training files, the events of `test` are shared between training and the other pools.
    shared = {
        name: n for name, n in wanted.items() if train is None or (config.files and name not in train.label_names)
    }
    if shared:
        deal["train"] = shared
    deal |= {pool: by_label(config, counts) for pool, counts in needed.test.items() if pool == RATIO}
    pools = draw_pools(test, deal, config.seed)
    parts = [pools.pop("train")] if shared else []
    if train is not None:
        own = {name: n for name, n in wanted.items() if name not in shared}
        parts += [take_training(train, own, config.seed)] if own else []
    training = parts[0] if len(parts) == 1 else _mixed(parts, config.seed)
    if config.data.file is not None:
        pools["data"] = read(config.data.file, schema=config.schema_, select=config.select)
    if stored is not None:
        training, pools = _with_stored(config, stored, training, pools)
    _check_disjoint(config, training, pools)
    return training, pools


def training_inputs(config: Config) -> dict[str, Any]:
    """What, beside the files and the seed, decides which events are for training.

    Where they share files with the other pools, how many events those take does too.
    """
    pools, files = config.pools, config.files
    inputs = {"pools": pools.model_dump(mode="json"), "select": config.select}
    wanted = [name for name, share in (pools.train_mixture or pools.mixture).items() if share > 0]
    if files is None or set(wanted) <= set(files.train or {}):
        return inputs
    return inputs | {"beside": {name: counts for name, counts in plan(config).test.items() if name != RATIO}}


def _check_disjoint(config: Config, training: Events, pools: Mapping[str, Events]) -> None:
    """OverlapError, but for a density ratio that is meant to be learned from the training events."""
    ratio = config.systematics.ratio if config.systematics else None
    own = {name: pool for name, pool in pools.items() if name != RATIO or ratio is None or ratio.pool == "own"}
    assert_disjoint({"train": training, **{name: pool for name, pool in own.items() if name != TUNING}})
    assert_disjoint(pools)


def _read(config: Config, folder: Path, stored: bool) -> tuple[Events, Events | None]:
    """The events of both roles; None where no training files are given."""
    if config.files is None:
        return load_role(config, folder, "test", stored), load_role(config, folder, "train", stored)
    train = read_files(config, config.files.train, stored) if config.files.train else None
    return read_files(config, config.files.test, stored), train


def _stored(config: Config, folder: Path) -> Stored:
    """All events of both roles; the selection is that of the configured schema, whatever the files' says."""
    test, train = _read(config, folder, stored=True)
    schema = Schema.load(config.schema_)
    return Stored.of(replace(test, schema=schema), None if train is None else replace(train, schema=schema))


def _selected(config: Config, folder: Path, stored: Stored | None) -> tuple[Events, Events | None]:
    if stored is None:
        return _read(config, folder, stored=False)
    return stored.role("test"), stored.role("train") if stored.trained else None


def _with_stored(
    config: Config, stored: Stored, training: Events, pools: dict[str, Events]
) -> tuple[Events, dict[str, Events]]:
    """The pools with stored events in the ratio's one, and with pseudo-data at their nu."""
    assert config.systematics is not None
    ratio, seed = config.systematics.ratio, config.seed
    if ratio.require_stored:
        stored.check_looser()
    learned = {RATIO: (training if ratio.pool == "train" else pools[RATIO]).record[ROW]}
    shares = {name: stored.shares(rows) for name, rows in learned.items()}
    distorted = any(config.data.nu.values())
    if distorted:
        learned["data"] = pools["data"].record[ROW]
        shares["data"] = _data_shares(config, stored)
    tuned = _tuning_rows(config, stored, training)
    companions = stored.companions(shares, generator(seed, "pools", "companions"), taken=tuned)
    full = {name: stored.take(np.concatenate([rows, companions[name]])) for name, rows in learned.items()}
    nuisances = config.systematics.nuisance_set
    nuisances.check(full[RATIO])
    made = {RATIO: weighted_to(_mixture(config), full[RATIO])}
    if len(tuned):
        made[TUNING] = weighted_to(_mixture(config), stored.take(tuned))
    if distorted:
        made["data"] = distorted_data(full["data"], nuisances, config.data.nu, data_headroom(config), seed)
    plain = {name: without_row(pool) for name, pool in pools.items()}
    signals = _signals(config, stored, [training, *pools.values()])
    made |= {} if signals is None else {SIGNALS: signals}
    return without_row(training), plain | made


def _tuning_rows(config: Config, stored: Stored, training: Events) -> Rows:
    """Stored events to fine-tune on; none where that was not asked for.

    Not those of the density ratio: an embedding that was fitted to them would move there in ways that it does not
    elsewhere, and the ratio, and its closure, would take that for the truth. The training events lose nothing by being
    used twice, have the shares that the contrastive loss wants, and their copies of one generated event, from which no
    ratio that closes is learned (docs/results.md), do no harm: the ratio of the search is learned anew on its own pool.
    They are dealt before all others, so that no setting but those of the training changes which they are.
    """
    section = config.systematics
    if section is None or section.fine_tune is None:
        return np.zeros(0, dtype=np.int64)
    rows = training.record[ROW]
    rng = generator(config.seed, "pools", "fine-tuning")
    return np.concatenate([rows, stored.companions({TUNING: stored.shares(rows)}, rng)[TUNING]])


def _signals(config: Config, stored: Stored, dealt: list[Events]) -> Events | None:
    """Selected test events of processes that are neither expected nor trained on, and in no pool; None without any."""
    expected = by_label(config, {**config.pools.mixture, **(config.pools.train_mixture or {})})
    rows = stored.rest([name for name in stored.events.label_names if not expected.get(name)], dealt)
    return stored.take(rows) if len(rows) else None


def _data_shares(config: Config, stored: Stored) -> dict[int, float]:
    """The probability with which stored events of every process are data: expected ones over those there are."""
    more, signal = data_headroom(config), config.data.signal
    wanted = {name: more * config.pools.expected * share for name, share in config.pools.mixture.items()}
    if signal is not None:
        wanted[signal.process] = wanted.get(signal.process, 0.0) + more * signal.events
    return stored.share(by_label(config, wanted))


def _mixture(config: Config) -> dict[str, float]:
    return by_label(config, config.pools.mixture)


def _mixed(parts: list[Events], seed: int) -> Events:
    """The events of all parts in random order."""
    events = Events.concatenate(parts)
    return events[generator(seed, "pools", "mixed").permutation(len(events))]


def take_training(events: Events, counts: Mapping[str, int], seed: int) -> Events:
    """The planned number of training events of each process, copies allowed, in random order."""
    rng = generator(seed, "pools", "train")
    rows = []
    for process, count in sorted(counts.items()):
        if process not in events.label_names:
            raise UnknownProcessError(f"no training events of '{process}'{did_you_mean(process, events.label_names)}")
        mine = np.flatnonzero(events.label == events.label_names.index(process))
        if len(mine) < count:
            raise NotEnoughEventsError(
                f"training needs {count} events of '{process}' but the sample has {len(mine)} after the selection: "
                "provide more or lower pools.train"
            )
        rows.append(rng.permutation(mine)[:count])
    return events[rng.permutation(np.concatenate(rows))]
