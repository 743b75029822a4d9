"""The simulation stage: check everything, make libraries and shards on all cores, describe the samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unseen import workers as parallel
from unseen.errors import ClusterError, ConfigError, MissingExtraError, SchemaError, did_you_mean
from unseen.events import Sample, Schema, ShardInfo, valid_shard, write_sample
from unseen.simulate import worker
from unseen.simulate.detector.response import COLLECTIONS, FEATURES
from unseen.simulate.jobs import ShardJob, plan_libraries, plan_shards, software
from unseen.simulate.libraries import valid_library
from unseen.simulate.processes import Process, choose, load_processes
from unseen.simulate.settings import ROLES, SimulationConfig
from unseen.simulate.shower_weights import check_variations

__all__ = ["Progress", "simulate"]

# How long a file may take to be seen here when another machine has written it.
ARRIVAL_SECONDS = 30.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands; events are those that pass the selection."""

    shards_done: int
    shards_total: int
    events_done: int
    events_total: int
    events_per_second: float
    seconds_left: float | None


def simulate(
    config: SimulationConfig,
    out: Path | str,
    seed: int,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    cluster: str | None = None,
) -> dict[str, Sample]:
    """Simulate the samples `out`/train and `out`/test and return those that were asked for, by role.

    Shards that are whole and were made with the same settings and seed are kept, so a killed run continues; the files
    do not depend on how often it was killed or on the number of workers (default: all cores) and where they are:
    `cluster` is one of `unseen.workers`, for which `out` must be on a file system that all its machines share.
    Errors: MissingExtraError, UnknownProcessError, PythiaSettingsError, ConfigError, SchemaError, DiskSpaceError,
    ClusterError, WorkerLostError, WorkerVersionError.
    """
    out = Path(out).absolute()  # workers may have another working directory
    parallel.check_cluster(cluster, workers)
    processes = check(config, seed)
    libraries = plan_libraries(config, processes, out, seed)
    shards = plan_shards(config, processes, out, seed, libraries)
    _sweep(out)
    done = {job.path: info for job in shards if (info := valid_shard(job.path, job.meta))}
    missing = [job for job in shards if job.path not in done]
    if missing:
        used = {library.path for job in missing for library in job.libraries}
        wanted = [job for job in libraries if job.path in used and not valid_library(job)]
        tracker = _Tracker(shards, done, progress)
        # Slowest first, so that no worker is left alone with a long one at the end.
        missing.sort(key=lambda job: not job.process.heavy_flavour)
        useful = max(len(missing), len(wanted))
        if workers is not None or cluster in (None, "local"):
            workers = min(workers or parallel.cores(), useful)
        try:
            with parallel.workers(cluster, workers) as pool:
                pool.run(worker.library, wanted, lambda job, _: _arrived(job.path), tracker.report)
                pool.run(worker.shard, missing, tracker.finished, tracker.report)
        finally:
            _sweep(out)
    return _describe(config, shards, done, out, seed)


def check(config: SimulationConfig, seed: int = 0) -> dict[str, Process]:
    """The processes that a configuration uses, after Pythia has accepted their settings.

    Errors: MissingExtraError, UnknownProcessError, PythiaSettingsError, ConfigError, SchemaError.
    """
    _check_schema(config.schema_)
    if not any(config.counts(role) for role in ROLES):
        raise ConfigError("simulation: no events asked for; set e.g. test: {w: 1000}")
    known = load_processes(config.processes)
    chosen = choose(list(dict.fromkeys(name for role in ROLES for name in config.counts(role))), known)
    _require_extra()
    from unseen.simulate.pythia import check_settings
    from unseen.simulate.source import measure_slices

    accepted = check_variations if config.shower_weights else check_settings
    for name, process in chosen.items():
        for part in process.slices or ((),):
            accepted(name, (*process.settings, *(part.settings if part else ())))
    return {
        name: process.model_copy(update={"slices": measure_slices(name, process, seed)})
        for name, process in chosen.items()
    }


def _check_schema(schema: Schema) -> None:
    for kind, wanted, made in (
        ("collection", [c.name for c in schema.collections], COLLECTIONS),
        ("feature", schema.features, FEATURES),
    ):
        for name in wanted:
            if name not in made:
                raise SchemaError(
                    f"schema '{schema.name}' has the {kind} '{name}', which the simulation does not make"
                    f"{did_you_mean(name, made)}; it makes {', '.join(made)}"
                )


def _require_extra() -> None:
    for module in ("awkward", "fastjet", "pythia8mc"):
        try:
            __import__(module)
        except ImportError as error:
            raise MissingExtraError(f"simulation needs {module}: pip install 'unseen[hep]'") from error


def _sweep(out: Path) -> None:
    """Remove what workers that were killed, or stopped by an error in another one, left half-written."""
    for part in out.glob("*/.*.part"):
        part.unlink(missing_ok=True)


def _arrived(path: Path) -> None:
    """ClusterError if a file that a worker has written cannot be seen from here."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not path.is_file():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"a worker has written {path} but it is not there on this machine: choose an --out on a file system "
                "that all machines of the cluster share"
            )
        time.sleep(0.1)


class _Tracker:
    """Counts finished shards and tells the caller."""

    def __init__(
        self, shards: list[ShardJob], done: dict[Path, ShardInfo], progress: Callable[[Progress], None] | None
    ):
        self._shards, self._done, self._progress = shards, done, progress
        self._before = self._events()
        self._start = time.monotonic()

    def _events(self) -> int:
        return sum(job.n_events for job in self._shards if job.path in self._done)

    def finished(self, job: ShardJob, info: ShardInfo) -> None:
        """Take note of a shard."""
        _arrived(job.path)
        self._done[job.path] = info

    def report(self) -> None:
        """Call `progress`."""
        if self._progress is None:
            return
        events, total = self._events(), sum(job.n_events for job in self._shards)
        rate = (events - self._before) / max(time.monotonic() - self._start, 1e-6)
        left = (total - events) / rate if rate > 0 else None
        self._progress(Progress(len(self._done), len(self._shards), events, total, rate, left))


def _describe(
    config: SimulationConfig, shards: list[ShardJob], done: Mapping[Path, ShardInfo], out: Path, seed: int
) -> dict[str, Sample]:
    samples = {}
    for role in ROLES:
        infos = [done[job.path] for job in shards if job.role == role]
        if infos:
            provenance = {
                "seed": seed,
                "role": role,
                "config": config.described(),
                "processes": _summary(infos),
                "software": software(),
            }
            samples[role] = write_sample(out / role, infos, provenance)
    return samples


def _summary(infos: list[ShardInfo]) -> dict[str, dict[str, Any]]:
    """Counts and cross section (pb, after the selection) per process."""
    result: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(info.meta["process"] for info in infos):
        metas = [info.meta for info in infos if info.meta["process"] == name]
        passed = sum(meta["passed"] for meta in metas)
        effective = sum(meta["effective"] for meta in metas)
        cross_section = sum(meta["cross_section_pb"] * meta["generated"] for meta in metas) / sum(
            meta["generated"] for meta in metas
        )
        result[name] = {
            "label": metas[0]["label"],
            "asked": sum(meta["asked"] for meta in metas),
            "stored": sum(info.n_events for info in infos if info.meta["process"] == name),
            "passed": passed,
            "effective": round(effective, 2),
            "cross_section_pb": float(f"{cross_section:.6g}"),
            "cross_section_error_pb": float(f"{cross_section / effective**0.5:.3g}"),
            "lost_fraction": round(float(np.mean([meta["lost_fraction"] for meta in metas])), 4),
        }
    return result
