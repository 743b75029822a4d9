"""The simulation stage: check everything, make libraries and shards on all cores, describe the samples."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from unseen.errors import ConfigError, MissingExtraError, SchemaError, did_you_mean
from unseen.events import Sample, Schema, ShardInfo, valid_shard, write_sample
from unseen.simulate import worker
from unseen.simulate.detector.response import COLLECTIONS, FEATURES
from unseen.simulate.jobs import LibraryJob, ShardJob, plan_libraries, plan_shards, software
from unseen.simulate.libraries import valid_library
from unseen.simulate.processes import Process, choose, load_processes
from unseen.simulate.settings import ROLES, SimulationConfig

__all__ = ["Progress", "simulate"]

POLL_SECONDS = 1.0


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
) -> dict[str, Sample]:
    """Simulate the samples `out`/train and `out`/test and return those that were asked for, by role.

    Shards that are whole and were made with the same settings and seed are kept, so a killed run continues; the files
    do not depend on how often it was killed or on the number of workers (default: all cores).
    Errors: MissingExtraError, UnknownProcessError, PythiaSettingsError, ConfigError, SchemaError, DiskSpaceError.
    """
    out = Path(out)
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
        try:
            with _Pool(min(workers or os.cpu_count() or 1, max(len(missing), len(wanted)))) as pool:
                pool.run(worker.library, wanted, lambda job, result: None, tracker.report)
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

    for name, process in chosen.items():
        for part in process.slices or ((),):
            check_settings(name, (*process.settings, *(part.settings if part else ())))
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
        self._done[job.path] = info

    def report(self) -> None:
        """Call `progress`."""
        if self._progress is None:
            return
        events, total = self._events(), sum(job.n_events for job in self._shards)
        rate = (events - self._before) / max(time.monotonic() - self._start, 1e-6)
        left = (total - events) / rate if rate > 0 else None
        self._progress(Progress(len(self._done), len(self._shards), events, total, rate, left))


class _Pool:
    """Worker processes that end with this block, however it ends."""

    def __init__(self, workers: int):
        # Spawned, because Pythia, HDF5 and torch do not survive a fork in every state.
        self._executor = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=worker.start, initargs=(os.getpid(),)
        )

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        processes = list((self._executor._processes or {}).values()) if kind else []
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()

    def run(
        self,
        task: Callable[[Any], Any],
        jobs: list[Any],
        finished: Callable[[Any, Any], None],
        report: Callable[[], None],
    ) -> None:
        """Do all jobs; the first error ends the run."""
        pending: dict[Future[Any], LibraryJob | ShardJob] = {self._executor.submit(task, job): job for job in jobs}
        report()
        while pending:
            ready, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in ready:
                finished(pending.pop(future), future.result())
            report()


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
                "config": config.model_dump(mode="json"),
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
