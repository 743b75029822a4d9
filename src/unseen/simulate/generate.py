"""One shard: particles, underlying event, detector, preselection, file."""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.errors import NotEnoughEventsError
from unseen.events import Events, ShardInfo, select, write_shard
from unseen.events.selection import passes, remove_objects
from unseen.seeds import generator
from unseen.simulate import libraries
from unseen.simulate.detector import reconstruct
from unseen.simulate.jobs import ShardJob, lepton_cut
from unseen.simulate.source import Block, EventSource
from unseen.simulate.truth import final_state

__all__ = ["generate", "make_shard"]

MIN_TRIES, MAX_TRIES = 64, 4000
# A process of which fewer than one event in this many passes is a mistake in the settings, not patience.
HOPELESS = 5_000_000


def make_shard(job: ShardJob) -> ShardInfo:
    """Generate a shard and write it with its sidecar."""
    events, account = generate(job)
    return write_shard(job.path, events, {**job.meta, **account})


def generate(job: ShardJob) -> tuple[Events, dict[str, Any]]:
    """Events of the shard that meet the preselection, and what it took to make them.

    Generation goes on, block by block, until `n_events` of them also pass the selection; the events after the last of
    these are dropped. Errors: NotEnoughEventsError (no event passes).
    """
    source = _source(job)
    rng = generator(job.seed, *job.stream, "detector")
    parts: list[Events] = []
    passing: list[np.ndarray[Any, np.dtype[np.bool_]]] = []
    passed, rows = 0, job.resimulations.rows
    least, most = (max(1, tries // rows) for tries in (MIN_TRIES, MAX_TRIES))
    while passed < job.n_events:
        wanted = 1.1 * (job.n_events - passed) * (source.tries + 2 / rows) / (passed + 1)
        events = _detect(job, source.next(int(np.clip(wanted, least, most))), rng)
        parts.append(events)
        passing.append(passes(remove_objects(events, events.schema.selection.objects), events.schema.selection))
        passed += int(passing[-1].sum())
        if not passed and source.tries > HOPELESS:
            raise NotEnoughEventsError(
                f"process '{job.name}': none of {source.tries} events passes the selection of schema "
                f"'{events.schema.name}'; loosen it or check the process's settings"
            )
    everything = Events.concatenate(parts)
    last = np.flatnonzero(np.concatenate(passing))[job.n_events - 1]
    return everything[: last + 1], _account(source, everything, np.concatenate(passing))


def _source(job: ShardJob) -> EventSource:
    library = next((libraries.decays(item.path) for item in job.libraries if item.kind == "decays"), None)
    cut = lepton_cut(job.config)
    return EventSource(
        job.name,
        job.process,
        job.config.fidelity,
        job.seed,
        job.stream,
        cut,
        library,
        copies=job.copies,
        trials=job.config.trials,
        resimulations=job.resimulations,
        variations=job.config.shower_weights,
    )


def _detect(job: ShardJob, block: Block, rng: np.random.Generator) -> Events:
    """Events of a block that meet the preselection."""
    particles = block.particles
    truth = final_state(particles)
    for item in job.libraries:
        if item.kind == "underlying":
            particles = libraries.underlying_events(item.path).overlay(particles, rng)
    schema = job.config.schema_
    identity = (np.int64(job.source_key) << 32) + block.source
    if not len(particles):
        return _empty(job, {"source": identity, **block.record, **truth})
    collections = reconstruct(particles.to_awkward(), rng, job.config.detector)
    record = {"source": identity, **block.record, **truth}
    events = Events.from_awkward(schema, collections, label_names=(job.process.label,), record=record)
    return select(events, schema.preselection)


def _empty(job: ShardJob, record: dict[str, Any]) -> Events:
    schema = job.config.schema_
    shape = (0, schema.n_slots)
    objects = np.zeros((*shape, schema.n_features))
    return Events.create(schema, objects, np.zeros(shape), label_names=(job.process.label,), record=record)


def _account(source: EventSource, events: Events, passing: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    """Counts and the cross section after the selection, in pb; the error takes copies into account."""
    _, copies = np.unique(events.record["source"][passing], return_counts=True)
    effective = float(copies.sum() ** 2 / np.sum(copies**2))
    cross_section = source.cross_section() * int(passing.sum()) / source.tries
    return {
        "generated": source.tries,
        "stored": len(events),
        "passed": int(passing.sum()),
        "effective": round(effective, 2),
        "cross_section_pb": float(f"{cross_section:.6g}"),
        "cross_section_error_pb": float(f"{cross_section / np.sqrt(effective):.3g}"),
        "lost_fraction": round(source.lost_fraction, 5),
    }
