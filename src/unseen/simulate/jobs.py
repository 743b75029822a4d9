"""What there is to do: one library or one shard of events per job, each with its own seed and fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unseen.events import Selection
from unseen.seeds import seed_sequence
from unseen.simulate.isolation import LeptonCut
from unseen.simulate.processes import Filter, Process
from unseen.simulate.settings import ROLES, Resimulations, SimulationConfig
from unseen.simulate.shower_weights import varied

__all__ = ["LibraryJob", "ShardJob", "fingerprint", "lepton_cut", "plan_libraries", "plan_shards", "software"]

# The detector lifts few leptons over the threshold, or into isolation, from further away: 1 % and 2 % of QCD events.
LEPTON_MARGIN = 0.97
ISOLATION_MARGIN = 0.05
LEPTONS = ("electrons", "muons")


@dataclass(frozen=True)
class LibraryJob:
    """Underlying events or decays of one role."""

    kind: str
    role: str
    size: int
    seed: int
    path: Path

    def __str__(self) -> str:
        return f"library {self.path}"

    @property
    def meta(self) -> dict[str, Any]:
        """What the file must have been made with to be used."""
        return {"kind": self.kind, "role": self.role, "size": self.size, "seed": self.seed, "software": software()}


@dataclass(frozen=True)
class ShardJob:
    """One shard: `n_events` of a process that pass the selection."""

    role: str
    name: str
    process: Process
    index: int
    n_events: int
    seed: int
    source_key: int
    config: SimulationConfig
    path: Path
    libraries: tuple[LibraryJob, ...]

    def __str__(self) -> str:
        return f"shard {self.path}"

    @property
    def stream(self) -> tuple[str | int, ...]:
        """Path of the shard's random streams below the root seed."""
        return ("simulate", self.role, self.name, self.index)

    @property
    def copies(self) -> int:
        """Most re-decays of an event: copies in training only."""
        return self.config.copies if self.role == "train" else 1

    @property
    def resimulations(self) -> Resimulations:
        """How often the stages of an event are simulated: more than once in training only."""
        return self.config.resimulations if self.role == "train" else Resimulations()

    @property
    def meta(self) -> dict[str, Any]:
        """What the shard must have been made with to be kept on resuming; nothing that depends on the machine."""
        wanted = {
            "process": self.process.model_dump(mode="json", exclude={"shard_size"}),
            "schema": self.config.schema_.model_dump(mode="json"),
            "detector": self.config.detector.model_dump(mode="json"),
            "trials": self.config.trials,
            "copies": self.copies,
            "libraries": [job.meta for job in self.libraries],
        }
        if self.resimulations != Resimulations():  # shards of before this setting stay valid
            wanted["resimulations"] = self.resimulations.model_dump(mode="json")
        if self.config.shower_weights:
            wanted["shower_weights"] = varied(())
        return {
            "process": self.name,
            "label": self.process.label,
            "role": self.role,
            "index": self.index,
            "asked": self.n_events,
            "seed": self.seed,
            "source_key": self.source_key,
            "fidelity": self.config.fidelity,
            "settings": list(self.process.settings),
            "fingerprint": fingerprint(wanted),
            "software": software(),
        }


def fingerprint(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def software() -> dict[str, str]:
    """Versions of what the events depend on."""
    found = {}
    for package in ("unseen", "pythia8mc", "fastjet", "awkward", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def lepton_cut(config: SimulationConfig) -> LeptonCut:
    """The loosest true lepton that may meet the preselection, with margins for the detector's resolution."""
    schema, detector = config.schema_, config.detector
    isolation = max(detector.electrons.isolation_max, detector.muons.isolation_max) + ISOLATION_MARGIN
    for selection in (schema.preselection, schema.selection):
        wanted = [r for r in (*selection.any_of, *selection.all_of) if r.collection in LEPTONS and r.pt_min > 0]
        if wanted:
            widest = max(r.abs_eta_max or 5.0 for r in wanted)
            return LeptonCut(LEPTON_MARGIN * min(r.pt_min for r in wanted), widest + 0.05, isolation)
    return LeptonCut(LEPTON_MARGIN * 15.0, isolation=isolation)


def _loosened(name: str, process: Process, config: SimulationConfig) -> Process:
    """A built-in process without a filter that would cut away what the schema keeps; a user's own filter stays."""
    if process.filter is None or name in config.processes:
        return process
    wanted: Filter | None = process.filter
    if not any(_needs_lepton(selection) for selection in (config.schema_.preselection, config.schema_.selection)):
        wanted = None
    elif process.filter.lepton_pt_min > (softest := lepton_cut(config).pt_min):
        wanted = process.filter.model_copy(update={"lepton_pt_min": softest})
    return process.model_copy(update={"filter": wanted})


def _needs_lepton(selection: Selection) -> bool:
    required, alternatives = (
        [r.collection in LEPTONS and r.pt_min > 0 for r in wanted] for wanted in (selection.all_of, selection.any_of)
    )
    return any(required) or (len(alternatives) > 0 and all(alternatives))


def plan_libraries(
    config: SimulationConfig, processes: Mapping[str, Process], out: Path, seed: int
) -> list[LibraryJob]:
    """The libraries that the run needs; those of the roles share nothing."""
    jobs = []
    for role in ROLES:
        names = config.counts(role)
        if names and config.fidelity == "fast":
            jobs.append(_library("underlying", role, config.underlying_events, out, seed))
        if any(processes[name].heavy_flavour for name in names):
            jobs.append(_library("decays", role, config.decays, out, seed))
    return jobs


def _library(kind: str, role: str, size: int, out: Path, seed: int) -> LibraryJob:
    return LibraryJob(kind, role, size, seed, out / "libraries" / f"{kind}-{role}.npz")


def plan_shards(
    config: SimulationConfig, processes: Mapping[str, Process], out: Path, seed: int, libraries: list[LibraryJob]
) -> list[ShardJob]:
    """Shards of all roles and processes, in the order in which the samples list them."""
    jobs: list[ShardJob] = []
    taken: set[int] = set()
    for role in ROLES:
        for name, count in config.counts(role).items():
            process = _loosened(name, processes[name], config)
            size = min(config.shard_size, process.shard_size or config.shard_size)
            used = tuple(
                job for job in libraries if job.role == role and (job.kind == "underlying" or process.heavy_flavour)
            )
            for index, start in enumerate(range(0, count, size)):
                key = _source_key(seed, role, name, index, taken)
                path = out / role / f"{name}-{index:05d}.h5"
                n = min(size, count - start)
                jobs.append(ShardJob(role, name, process, index, n, seed, key, config, path, used))
    return jobs


def _source_key(seed: int, role: str, name: str, index: int, taken: set[int]) -> int:
    """31 bits that no other shard of the run has: the upper half of the identity of its source events."""
    for attempt in range(100):
        words = seed_sequence(seed, "simulate", "source", role, name, index, attempt).generate_state(1)
        key = int(words[0]) >> 1
        if key not in taken:
            taken.add(key)
            return key
    raise RuntimeError("no free source key")
