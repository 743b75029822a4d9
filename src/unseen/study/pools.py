"""The events of a study: drawn once from the seed, disjoint, common to all entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from unseen.config import Config
from unseen.dealing import take_training
from unseen.errors import NotEnoughEventsError, OverlapError, UnknownProcessError, did_you_mean
from unseen.events import Events, Schema, read, select
from unseen.pools import assert_disjoint, draw_pools, plan_pools
from unseen.power.setup import smallest_pool
from unseen.seeds import generator
from unseen.sources import read_files
from unseen.study.covariance.settings import CovarianceConfig
from unseen.study.settings import StudyConfig
from unseen.study.stored import at_mixture, set_apart

__all__ = ["StudyPools", "draw_study_pools", "without_process"]

SIGNAL_SHARE = 0.5  # of the signal events, set apart to be distorted
FEWEST_SIGNAL = 100  # that are injected, and that train the ceiling
POOLS = ("settings", "reference", "toys")


@dataclass(frozen=True, eq=False)
class StudyPools:
    """Events of disjoint pools. `natural` is training background at the mixture, for the test that knows the signal.

    `signals` are injected, `signals_apart` train the ceiling; `left_out` holds all events of a process that is taken
    as a signal by embeddings that did not see it; `anomalies` is background that anomalies are made of. `stored` are
    background events not selected, weighted to the mixture, to distort ("learn", "judge"), `stored_signals` signals.
    """

    train: Events
    natural: Events
    settings: Events
    reference: Events
    toys: Events
    signals: Mapping[str, Events]
    signals_apart: Mapping[str, Events]
    left_out: Mapping[str, Events]
    anomalies: Events | None
    stored: Mapping[str, Events] = field(default_factory=dict)
    stored_signals: Mapping[str, Events] = field(default_factory=dict)


def draw_study_pools(config: StudyConfig) -> StudyPools:
    """Read the files of a study and deal their events.

    Errors: those of reading, NotEnoughEventsError, OverlapError, UnknownProcessError.
    """
    background, train_only, signals, stored = _read(config)
    for name, events in signals.items():
        _refuse_shared(f"signal '{name}'", events, background, train_only)
    sizes = {name: getattr(config.pools, name) for name in POOLS}
    tuned = config.optuna is not None and config.optuna.objective == "synthetic"
    if tuned:
        sizes["anomalies"] = config.pools.anomalies
    _check_sizes(config)
    plan = plan_pools(
        config.pools.mixture,
        sizes,
        train=config.pools.train,
        train_mixture=config.pools.train_mixture or config.pools.mixture,
        expected=None,
        signal=None,
        seed=config.seed,
    )
    own = {name: n for name, n in plan.train.items() if train_only is None or name not in train_only.label_names}
    pools = draw_pools(background, {**plan.test, "train": own}, config.seed)
    train = pools.pop("train")
    rest = {name: n for name, n in plan.train.items() if name not in own}
    if train_only is not None and rest:
        train = _joined(train, take_training(train_only, rest, config.seed), config.seed)
    assert_disjoint({"train": train, **pools})
    apart, injected = _split_signals(config, signals)
    wanted = {*config.leave_out, *(config.optuna.processes if config.optuna and not tuned else ())}
    return StudyPools(
        train,
        _at_mixture(train, config),
        pools["settings"],
        pools["reference"][: config.power.n_reference],
        pools["toys"],
        injected,
        apart,
        {name: _independent(background.of(name)) for name in sorted(wanted)},
        pools.get("anomalies"),
        *stored,
    )


def without_process(pools: StudyPools, process: str) -> StudyPools:
    """The pools as they are where this background is unknown; its events are the only signal."""

    def known(events: Events) -> Events:
        return events.of(*(name for name in events.label_names if name != process))

    return replace(
        pools,
        train=known(pools.train),
        natural=known(pools.natural),
        settings=known(pools.settings),
        reference=known(pools.reference),
        toys=known(pools.toys),
        signals={process: pools.left_out[process]},
        signals_apart={},
        stored={name: known(events) for name, events in pools.stored.items()},
    )


def _read(config: StudyConfig) -> tuple[Events, Events | None, dict[str, Events], tuple[dict[str, Events], ...]]:
    """Background by process, background for training only, the signals, and what is stored to be distorted."""
    now = config.select and config.systematics is None  # events to distort are set apart before the selection
    if config.files is not None:
        reader = Config.model_validate({"schema": config.schema_, "select": now, "files": config.files})
        _check_processes(config, tuple(config.files.test), tuple(config.files.train or ()))
        test = read_files(reader, config.files.test)
        train = read_files(reader, config.files.train) if config.files.train else None
    else:
        assert config.sample is not None  # the settings have exactly one of both
        test = read(config.sample.test, schema=config.schema_, select=now)
        train = read(config.sample.train, schema=config.schema_, select=now) if config.sample.train else None
        _check_processes(config, test.label_names, train.label_names if train is not None else ())
    signals = {name: _independent(test.of(name)) for name in config.signals}
    background = test.of(*(name for name in test.label_names if name not in config.signals))
    if config.systematics is None:
        return _unit(background), train, signals, ()
    return _with_stored(config, config.systematics, _unit(background), train, signals)


def _with_stored(
    config: StudyConfig,
    section: CovarianceConfig,
    background: Events,
    train: Events | None,
    signals: Mapping[str, Events],
) -> tuple[Events, Events | None, dict[str, Events], tuple[dict[str, Events], ...]]:
    """Set events apart that are distorted: of the background to learn ratios from and to judge on, and of signals.

    Training files are none of these: copies of events and other mixtures give a ratio of their own.
    """
    rest, apart = set_apart(background, section.share, config.seed, "background")
    judge, learn = set_apart(apart, section.learn, config.seed, "learn")
    if train is not None:
        train = select(train)
    stored = {name: at_mixture(part, config.pools.mixture) for name, part in (("learn", learn), ("judge", judge))}
    section.in_widths.check(stored["judge"])
    halves = {name: set_apart(events, SIGNAL_SHARE, config.seed, name) for name, events in signals.items()}
    left = {name: select(rest_of) for name, (rest_of, _) in halves.items()}
    return select(rest), train, left, (stored, {name: moving for name, (_, moving) in halves.items()})


def _check_processes(config: StudyConfig, test: tuple[str, ...], train: tuple[str, ...]) -> None:
    for name in (*config.pools.mixture, *config.signals):
        if name not in test:
            raise UnknownProcessError(f"the study's events have no process '{name}'{did_you_mean(name, test)}")
    for name in config.pools.train_mixture or {}:
        if name not in test and name not in train:
            raise UnknownProcessError(f"no training events of '{name}'{did_you_mean(name, {*test, *train})}")
    Schema.load(config.schema_)


def _unit(events: Events) -> Events:
    """Refuse weighted background: pools are counted, every event once."""
    if len(events) and np.ptp(events.weight) > 0:
        raise NotEnoughEventsError(
            "the study's background events have unequal weights, and pools count every event once: unweight them first"
        )
    return events


def _independent(events: Events) -> Events:
    """One row of every generated event."""
    if "source" not in events.record:
        return events
    return events[np.sort(np.unique(events.record["source"], return_index=True)[1])]


def _refuse_shared(name: str, events: Events, background: Events, train: Events | None) -> None:
    for where, others in (("the background", background), ("the training events", train)):
        if others is None or "source" not in others.record or "source" not in events.record:
            continue
        shared = np.intersect1d(events.record["source"], others.record["source"])
        if len(shared):
            raise OverlapError(f"{name} and {where} share {len(shared)} generated events: no pool may hold a signal")


def _check_sizes(config: StudyConfig) -> None:
    """Refuse pools that cannot serve the power study."""
    pools, power = config.pools, config.power
    needed = smallest_pool(power.n_data)
    if pools.toys < needed:
        raise NotEnoughEventsError(
            f"pools.toys is {pools.toys} but toys of {power.n_data:g} expected events need {needed}: enlarge "
            "pools.toys or lower power.n_data"
        )
    if power.n_reference is not None and power.n_reference > pools.reference:
        raise NotEnoughEventsError(
            f"power.n_reference is {power.n_reference} but pools.reference {pools.reference}: enlarge pools.reference"
        )


def _joined(first: Events, second: Events, seed: int) -> Events:
    both = Events.concatenate([first, second]) if len(first) else second
    return both[generator(seed, "study", "train").permutation(len(both))]


def _at_mixture(train: Events, config: StudyConfig) -> Events:
    """As many training events as there are with the shares of the mixture."""
    counts = np.bincount(train.label, minlength=len(train.label_names))
    shares = {name: share for name, share in config.pools.mixture.items() if share > 0}
    held = {name: int(counts[train.label_names.index(name)]) if name in train.label_names else 0 for name in shares}
    total = min(held[name] / share for name, share in shares.items())
    rows = [
        np.flatnonzero(train.label == train.label_names.index(name))[: round(total * share)]
        for name, share in shares.items()
        if name in train.label_names
    ]
    return train[np.sort(np.concatenate(rows))]


def _split_signals(config: StudyConfig, signals: Mapping[str, Events]) -> tuple[dict[str, Events], dict[str, Events]]:
    """Signal events that train the ceiling, and those that are injected."""
    apart, injected = {}, {}
    for name, events in signals.items():
        rng = generator(config.seed, "study", "signal", name)
        events = events[rng.permutation(len(events))]
        cut = round(config.power.ceiling_share * len(events)) if config.power.ceiling else 0
        apart[name], injected[name] = events[:cut], events[cut:]
        for part, what in ((injected[name], "to inject"), (apart[name], "to train the ceiling")):
            if len(part) < FEWEST_SIGNAL and (config.power.ceiling or part is injected[name]):
                raise NotEnoughEventsError(
                    f"signal '{name}' has {len(part)} events {what} after the selection; at least {FEWEST_SIGNAL} are "
                    "needed: provide more, or set power.ceiling: false"
                )
    return apart, injected
