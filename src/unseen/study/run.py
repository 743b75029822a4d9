"""Run what is missing of a study: one job for each entry, whose row is kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from unseen.power import content_hash
from unseen.stages import digest
from unseen.study.comparison import compare
from unseen.study.grid import Entry
from unseen.study.measure import Job, Work, measure
from unseen.study.pools import StudyPools
from unseen.study.rows import Row, Values, read_row, write_table
from unseen.study.settings import StudyConfig
from unseen.study.systematic import with_preserved
from unseen.systematics import NuisanceSet
from unseen.workers import Workers

__all__ = ["TABLE", "jobs_of", "run_entries", "write_comparison"]

TABLE = "table.parquet"
Finished = Callable[[Row, bool], None]


def jobs_of(entries: Sequence[Entry], config: StudyConfig, pools: StudyPools) -> list[Job]:
    """The jobs of a study: each entry with a digest of its settings, the events, and the package's version."""
    common = {
        "events": pools_hash(pools),
        "power": config.power.model_dump(mode="json"),
        "pools": config.pools.model_dump(mode="json"),
        "leave_out": config.leave_out,
        "probe_events": config.probe_events,
        "seed": config.seed,
        "unseen": version("unseen"),
    }
    if config.systematics is not None:
        common["systematics"] = config.systematics.model_dump(mode="json", exclude={"before"})
        common |= NuisanceSet(config.systematics.nuisances).unit_note
    return [Job(entry, digest(common | _settings(entry))) for entry in entries]


def _settings(entry: Entry) -> dict[str, Any]:
    """What fixes an entry; what it does not have is left out, so that new kinds of settings leave old rows valid."""
    sections = {name: getattr(entry, name) for name in ("training", "fine_tune")}
    plain = {name: value for name, value in vars(entry).items() if name not in sections}
    said = {name: value.model_dump(mode="json") for name, value in sections.items() if value is not None}
    return {"entry": {"training": None, **plain, **said}}


def pools_hash(pools: StudyPools) -> str:
    """SHA-256 of all events of a study and of their labels."""
    arrays: list[np.ndarray] = []
    for value in vars(pools).values():
        parts = list(value.values()) if isinstance(value, dict) else [value]
        for events in parts:
            if events is not None:
                arrays += [events.objects, events.present, events.label]
    return content_hash(*arrays)


def run_entries(jobs: Sequence[Job], work: Work, workers: Workers, finished: Finished) -> list[Row]:
    """Return the rows of all jobs in their order; those that are on disk are not measured again.

    `finished(row, kept)` is called for each. What is done when this is interrupted stays.
    Errors: those of the jobs, WorkerLostError, ClusterError, DiskSpaceError.
    """
    rows: dict[str, Row] = {}
    for job in jobs:
        row = read_row(work.folder, job.digest, job.entry.name)
        if row is not None:
            rows[job.digest] = row
            finished(row, True)

    def done(job: Job, row: Row) -> None:
        rows[job.digest] = row
        finished(row, False)

    missing = [job for job in jobs if job.digest not in rows]
    if missing:
        workers.run(measure, missing, done, shared=work)
    return [rows[job.digest] for job in jobs]


def write_comparison(folder: Path, rows: Sequence[Row], config: StudyConfig) -> list[Values]:
    """Write the table of all rows with their gains, efficiencies, and N_3 over that of another row; return it."""
    table = with_preserved(compare([row.values for row in rows]), config)
    write_table(folder / TABLE, table)
    return table
