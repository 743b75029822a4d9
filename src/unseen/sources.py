"""Where the events of a run come from: the simulation or files, checked before work starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from unseen.config import Config, FilesConfig
from unseen.errors import ConfigError, MissingFileError, NotEnoughEventsError, UnknownProcessError, did_you_mean
from unseen.events import Events, Sample, Schema, read, select
from unseen.events.atomic import file_hash
from unseen.nuisance_checks import check_nuisances
from unseen.pools import PoolPlan, plan_pools
from unseen.progress import Display
from unseen.simulate import Progress, SimulationConfig, load_processes, simulate
from unseen.simulate import check as check_simulation
from unseen.stored import HEADROOM
from unseen.training_check import check_training

__all__ = [
    "RATIO",
    "by_label",
    "check_config",
    "data_headroom",
    "files_hash",
    "label_of",
    "load_role",
    "plan",
    "read_files",
    "simulated",
    "simulation_config",
]

N = TypeVar("N", int, float)
RATIO = "ratio"  # the pool that a density ratio is learned from
# The toys' pool must hold a Poisson fluctuation of the data of this many standard deviations.
POOL_MARGIN = 5.0


def plan(config: Config) -> PoolPlan:
    """How many events of each process every pool gets; fixed by the configuration and its seed."""
    pools, data = config.pools, config.data
    pseudo, more = data.file is None, data_headroom(config)
    ratio = config.systematics.ratio if config.systematics else None
    return plan_pools(
        pools.mixture,
        {"settings": pools.settings, "reference": pools.reference, "toys": pools.toys},
        train=pools.train,
        train_mixture=pools.train_mixture or pools.mixture,
        expected=more * pools.expected if pseudo else None,
        signal=(data.signal.process, round(more * data.signal.events)) if data.signal and pseudo else None,
        seed=config.seed,
        last={RATIO: ratio.events} if ratio is not None and ratio.pool == "own" else None,
    )


def data_headroom(config: Config) -> float:
    """How many times more events than expected pseudo-data at nu are thinned from: weights may make events frequent."""
    moved = config.systematics.nuisance_set.nuisances if config.systematics else ()
    return HEADROOM if any(each.kind != "shape" and config.data.nu.get(each.name) for each in moved) else 1.0


def check_config(config: Config, pools: bool = True) -> None:
    """Refuse what cannot work before anything is started: pools too small, unknown processes, missing files.

    Without `pools` the events need not fill them: for making samples only.
    """
    expected, toys = config.pools.expected, config.pools.toys
    needed = expected + POOL_MARGIN * np.sqrt(expected)
    if pools and toys < needed:
        raise NotEnoughEventsError(
            f"pools.toys is {toys} but toys of {expected:g} expected events need at least {needed:.0f}: "
            "enlarge pools.toys or lower pools.expected"
        )
    check_nuisances(config, [name for name, share in by_label(config, config.pools.mixture).items() if share > 0])
    if config.data.file is not None:
        _check_readable("data.file", config.data.file)
    if config.files is not None:
        _check_files(config.files, plan(config))
    else:
        settings = simulation_config(config)
        _check_labels(config, settings)
        _check_partners(config, settings)
        if pools:
            _check_counts(settings, plan(config))
        check_simulation(settings, config.seed)
    if pools:
        check_training(config, by_label(config, plan(config).train))


def _check_files(files: FilesConfig, needed: PoolPlan) -> None:
    for role, paths in (("test", files.test), ("train", files.train or {})):
        for process, names in paths.items():
            for path in names:
                _check_readable(f"files.{role}.{process}", path)
    for where, wanted, paths in (
        ("files.test", needed.test_total, files.test),
        ("files.train or files.test", needed.train, {**files.test, **(files.train or {})}),
    ):
        for process in wanted:
            if process not in paths:
                raise UnknownProcessError(f"no process '{process}' in {where}{did_you_mean(process, paths)}")


def _check_labels(config: Config, settings: SimulationConfig) -> None:
    """A signal that carries the label of a background would be dealt into every pool with it."""
    if config.data.signal is None:
        return
    signal, known = config.data.signal.process, load_processes(settings.processes)
    for name in sorted({*config.pools.mixture, *(config.pools.train_mixture or {})} & known.keys() - {signal}):
        if signal in known and known[name].label == known[signal].label:
            raise ConfigError(
                f"the signal '{signal}' and '{name}' have the same label '{known[name].label}', so the signal would "
                "also be in the reference: give it a label of its own in simulate.processes"
            )


def _check_partners(config: Config, settings: SimulationConfig) -> None:
    """Refuse views of re-simulated partners where every training event is simulated once."""
    if not config.train.n_partners or settings.resimulations.rows > 1:
        return
    known = load_processes(settings.processes)
    decayed = [name for name in settings.counts("train") if name in known and known[name].heavy_flavour]
    if settings.copies == 1 or not decayed:
        raise ConfigError(
            "train.views has 'resimulate', but the simulation makes one row of every training event: ask for more, "
            "e.g. simulate.resimulations: {detector: 2}, or leave the view out"
        )


def _check_counts(settings: SimulationConfig, needed: PoolPlan) -> None:
    """Refuse numbers of events under `simulate` that cannot fill the pools."""
    for role, wanted, given in (("train", needed.train, settings.train), ("test", needed.test_total, settings.test)):
        for process, count in wanted.items():
            if given.get(process, 0) < count:
                raise NotEnoughEventsError(
                    f"simulate.{role} makes {given.get(process, 0)} events of '{process}' but the pools need {count}: "
                    f"ask for more, make the pools smaller, or leave simulate.{role} out"
                )


def simulation_config(config: Config) -> SimulationConfig:
    """The simulation's settings with the number of events that the pools need, unless the user named them."""
    if config.simulate is None:
        raise ConfigError("this configuration has no 'simulate' section: its events come from files")
    settings = config.simulate.model_copy(update={"schema_name": config.schema_})
    needed = plan(config)
    wanted = {"train": needed.train, "test": needed.test_total}
    return settings.model_copy(update={role: getattr(settings, role) or wanted[role] for role in wanted})


def simulated(config: Config, folder: Path, workers: int | None, display: Display, cluster: str | None = None) -> None:
    """Make (or finish) the samples of a run in `folder`, one per role."""
    with display.bar("simulating") as update:

        def show(progress: Progress) -> None:
            rate = f"{progress.events_per_second:.0f} events/s" if progress.events_per_second else ""
            update(progress.events_done, progress.events_total, rate)

        settings = simulation_config(config)
        simulate(settings, folder, seed=config.seed, workers=workers, progress=show, cluster=cluster)


def load_role(config: Config, folder: Path, role: str, stored: bool = False) -> Events:
    """Events of one role of a simulated sample, after the selection; all that are `stored` if so asked."""
    events = Sample.open(folder / role).load()
    return select(events) if config.select and not stored else events


def files_hash(config: Config) -> dict[str, str]:
    """A hash of every file that the run reads, and of the layout and selection that they are read with."""
    schema = Schema.load(config.schema_).model_dump_json()
    paths = [config.data.file] if config.data.file else []
    if config.files is not None:
        groups = [*config.files.test.values(), *(config.files.train or {}).values()]
        paths += [path for group in groups for path in group]
    hashes = {str(path): file_hash(_content(path)) for path in dict.fromkeys(paths)}
    return hashes | {"schema": hashlib.sha256(schema.encode()).hexdigest()}


def _content(path: Path) -> Path:
    """The file that stands for a file or a sample folder."""
    return path / "sample.json" if path.is_dir() else path


def _check_readable(key: str, path: Path) -> None:
    if not path.exists():
        raise MissingFileError(f"{key}: no file or folder {path}")
    if not _content(path).is_file():
        raise MissingFileError(f"{key}: {path} is not a sample: it has no sample.json")


def read_files(config: Config, files: dict[str, tuple[Path, ...]], stored: bool = False) -> Events:
    """Events of all files, labelled by the process they are listed under, after the selection; or all `stored`.

    Of a sample with several processes, the one that it is listed under. Errors: UnknownProcessError (it is not there).
    """
    whole = {
        path: read(path, schema=config.schema_, select=config.select and not stored)
        for path in dict.fromkeys(path for paths in files.values() for path in paths)
    }
    return Events.concatenate(
        [_as_process(whole[path], process, path) for process, paths in sorted(files.items()) for path in paths]
    )


def _as_process(events: Events, process: str, path: Path) -> Events:
    """The events of a file that is listed under this process."""
    names = events.label_names
    if process not in names and len(names) > 1:
        raise UnknownProcessError(f"{path} holds {', '.join(names)}, but no '{process}'{did_you_mean(process, names)}")
    events = events.of(process) if process in names else events
    return Events.create(
        events.schema,
        events.objects,
        events.present,
        label_names=(process,),
        weight=events.weight,
        record=events.record,
    )


def label_of(config: Config, process: str) -> str:
    """The label that the events of a process carry."""
    known = load_processes(config.simulate.processes) if config.simulate is not None else {}
    return known[process].label if process in known else process


def by_label(config: Config, counts: Mapping[str, N]) -> dict[str, N]:
    """Counts (or shares) of processes as those of the labels that their simulated events carry."""
    result: dict[str, N] = {}
    for name, count in counts.items():
        label = label_of(config, name)
        result[label] = result[label] + count if label in result else count
    return result
