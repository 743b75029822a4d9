"""One entry of a study: train, embed the shared pools, probe, measure the power; one row of the table."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unseen.embed import Ensemble, fine_tune, linear_probe, train
from unseen.errors import ConvergenceError, DiskSpaceError, NotEnoughEventsError, UnseenError
from unseen.events import Events
from unseen.power.rival import Samples
from unseen.search.validate import Floats
from unseen.seeds import generator
from unseen.study.ceiling import CeilingEvents, ceiling_numbers, ceiling_points
from unseen.study.grid import Entry
from unseen.study.numbers import Values, power_numbers
from unseen.study.pools import StudyPools, without_process
from unseen.study.representations import REPRESENTATIONS, everything
from unseen.study.rows import Row, flat, write_row
from unseen.study.settings import StudyConfig
from unseen.study.systematic import systematic_numbers
from unseen.systematics import DensityRatio, NuisanceSet

__all__ = ["Job", "Trained", "Work", "left_out_numbers", "measure", "one_thread", "samples_of", "slug", "trained"]

PROBE_MINIMUM = 10  # a class with fewer events than this is left out of the probe
Embed = Callable[[Events], Floats]


@dataclass(frozen=True)
class Job:
    """An entry and the digest of everything that fixes its row."""

    entry: Entry
    digest: str

    def __str__(self) -> str:
        return self.entry.name


@dataclass(frozen=True, eq=False)
class Work:
    """What all jobs share: the settings, the events, and the study's folder."""

    config: StudyConfig
    pools: StudyPools
    folder: Path

    @property
    def nuisances(self) -> NuisanceSet | None:
        """The nuisance parameters of the study."""
        return None if self.config.systematics is None else self.config.systematics.in_widths

    def nuisances_without(self, process: str) -> NuisanceSet | None:
        """Those that are left where a process is unknown: its cross section alone would move no event."""
        known = self.nuisances
        if known is None:
            return None
        names = [each.name for each in known.nuisances if each.config is None or {*each.config.labels} != {process}]
        return known.subset(*names)

    def scratch(self, job: Job) -> Path:
        """The folder of one entry: its models, and its toys until its row is written."""
        return self.folder / "entries" / f"{slug(job.entry.name)}-{job.digest[:10]}"


def measure(job: Job, work: Work) -> Row:
    """Return the row of an entry and write it; runs inside a worker, with one thread so that its place is no matter.

    An entry that cannot be trained or embedded gives a row that says why, which is not written: the next run tries
    again.
    """
    with one_thread():
        try:
            row = measure_entry(job, work)
        except DiskSpaceError:
            raise
        except UnseenError as error:
            if job.entry.kind != "model":
                raise
            failure = f"{type(error).__name__}: {error}"
            return Row(job.entry.name, job.digest, _settings(job.entry, work.config) | {"failed": failure, "notes": ""})
    write_row(work.folder, row)
    shutil.rmtree(work.scratch(job) / "toys", ignore_errors=True)
    return row


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread inside the block: sums in another order differ in the last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def measure_entry(job: Job, work: Work) -> Row:
    """Return the row of an entry."""
    entry, config, pools, start = job.entry, work.config, work.pools, time.perf_counter()
    values = _settings(entry, config) | {"failed": None}
    if entry.kind == "ceiling":
        found, notes = _ceiling(work)
        seconds = {"total": time.perf_counter() - start}
        return Row(entry.name, job.digest, values | found | {"notes": "; ".join(notes)}, seconds)
    folder = work.scratch(job)
    made = trained(entry, pools, folder / "train", work.nuisances)
    samples = samples_of(made.embed, pools, config.power.n_data)
    values |= {"dim": samples.reference.shape[1], "n_parameters": made.n_parameters}
    background = Events.concatenate([pools.reference, pools.toys])
    found, notes = _probed(np.concatenate([samples.reference, samples.pool]), background, config)
    values |= found
    numbers, unknown = power_numbers(
        samples, config.power, config.seed, folder / "toys", entry.widths, embeddings=made.dims
    )
    values, notes = values | numbers, notes + unknown
    if config.systematics is not None:
        numbers, unknown = systematic_numbers(
            made.embed, samples, pools, config, folder / "toys", entry.widths, made.ratio
        )
        values, notes = values | numbers, notes + unknown
    for process in config.leave_out:
        numbers, unknown = left_out_numbers(entry, process, work, folder)
        values, notes = values | numbers, notes + unknown
    seconds = {"train": made.seconds, "total": time.perf_counter() - start}
    return Row(entry.name, job.digest, values | {"notes": "; ".join(notes)}, seconds)


def left_out_numbers(entry: Entry, process: str, work: Work, folder: Path) -> tuple[Values, list[str]]:
    """Return the numbers for a background process that neither embedding nor reference know, as columns `leave_out`.

    The expected background is smaller by the share of the process.
    """
    pools, share = without_process(work.pools, process), work.config.pools.mixture[process]
    name = f"without_{slug(process)}"
    made = trained(entry, pools, folder / f"train_{name}", work.nuisances_without(process))
    samples = samples_of(made.embed, pools, (1.0 - share) * work.config.power.n_data)
    found, notes = power_numbers(
        samples, work.config.power, work.config.seed, folder / "toys" / name, entry.widths, embeddings=made.dims
    )
    return {f"leave_out.{key}": value for key, value in found.items()}, [f"leave_out.{note}" for note in notes]


def samples_of(embed: Embed, pools: StudyPools, expected: float) -> Samples:
    """Return the embedded pools."""
    settings, reference, toys = (embed(events) for events in (pools.settings, pools.reference, pools.toys))
    signals = {name: embed(events) for name, events in pools.signals.items()}
    return Samples(settings, reference, toys, signals, expected)


def slug(name: str) -> str:
    """A name for folders; different names stay different."""
    plain = "".join(c if c.isalnum() or c in "-_=." else "-" for c in name)[:60]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Trained:
    """The function that embeds events, the number of its parameters, and the seconds of its training.

    `ratio` is the one that a fine-tuning has learned; `dims` are the columns of each of several embeddings.
    """

    embed: Embed
    n_parameters: int = 0
    seconds: float = 0.0
    ratio: DensityRatio | None = None
    dims: tuple[int, ...] | None = None


def trained(entry: Entry, pools: StudyPools, folder: Path, nuisances: NuisanceSet | None = None) -> Trained:
    """Train the model of an entry in `folder`, or take the fixed representation that it names.

    With `fine_tune` it is fine-tuned for the study's nuisance parameters afterwards, beside it.
    """
    if entry.training is None:
        function, train_events = REPRESENTATIONS[entry.representation], pools.train
        return Trained(lambda events: function(events, train_events))
    start = time.perf_counter()
    model = train(pools.train, entry.training, folder, entry.seed)
    ratio = None
    if entry.fine_tune is not None:
        assert nuisances is not None  # a study without them refuses such entries
        assert not isinstance(model, Ensemble)  # refused, too
        beside = folder.with_name(f"{folder.name}_tuned")
        tuned = fine_tune(model, pools.stored["learn"], nuisances, entry.fine_tune, beside, entry.seed)
        model, ratio = tuned.model, tuned.ratio
    seconds = time.perf_counter() - start
    members, dims = ([*model.members.values()], model.dims) if isinstance(model, Ensemble) else ([model], None)
    parameters = sum(parameter.numel() for member in members for parameter in member.network.encoder.parameters())
    final = model
    return Trained(lambda events: final.embed(events).astype(np.float64), parameters, seconds, ratio, dims)


def _probed(z: Floats, events: Events, config: StudyConfig) -> tuple[Values, list[str]]:
    """Return the accuracies of a linear probe on background at the mixture; classes with few events are left out."""
    rows = generator(config.seed, "study", "probe").permutation(len(z))[: config.probe_events]
    z, label = z[rows], events.label[rows]
    counts = np.bincount(label, minlength=len(events.label_names))
    scored = np.flatnonzero(counts >= PROBE_MINIMUM)
    kept = np.isin(label, scored)
    names = [events.label_names[i] for i in scored]
    values: Values = dict.fromkeys(("probe.accuracy", "probe.balanced_accuracy", "probe.n_test"))
    try:
        result = linear_probe(z[kept], np.searchsorted(scored, label[kept]), names, seed=config.seed)
    except (NotEnoughEventsError, ConvergenceError) as error:
        return values, [f"probe: {error}"]
    found = (result.accuracy, result.balanced_accuracy, result.n_test)
    return dict(zip(values, found, strict=True)), []


def _ceiling(work: Work) -> tuple[Values, list[str]]:
    config, pools = work.config, work.pools
    background = everything(pools.natural, pools.train)
    test = everything(Events.concatenate([pools.reference, pools.toys]), pools.train)
    values: Values = {}
    notes: list[str] = []
    for name, signal in pools.signals.items():
        apart, injected = (everything(x, pools.train) for x in (pools.signals_apart[name], signal))
        points = ceiling_points(name, CeilingEvents(background, apart, test, injected), config.seed)
        for yield_ in _yields(config):
            rng = generator(config.seed, "study", "ceiling", name, yield_)
            found, unknown = ceiling_numbers(points, config.power.n_data, rng, shape=yield_ == "free")
            values |= {f"{yield_}.{name}.{key}": value for key, value in found.items()}
            notes += [f"{yield_}.{name}.{note}" for note in unknown]
    return values, notes


def _yields(config: StudyConfig) -> list[str]:
    """Return which ceilings the tests of a study are held against: one of shape alone, one that knows the yield."""
    tests = {*config.power.normalisations, *config.power.tests} - {"kernel"}
    return [name for name, wanted in (("known", tests != {"free"}), ("free", "free" in tests)) if wanted]


def _settings(entry: Entry, config: StudyConfig) -> dict[str, Any]:
    """Return all settings of a row by their dotted names."""
    training = entry.training.model_dump(mode="json") if entry.training is not None else {}
    tuning = entry.fine_tune.model_dump(mode="json") if entry.fine_tune is not None else {}
    seed = entry.seed if entry.training is not None else None
    described = {"name": entry.name, "family": entry.family, "kind": entry.kind, "widths": entry.widths}
    return (
        described
        | flat(training, "model.")
        | flat(tuning, "fine_tune.")
        | {"model.seed": seed}
        | flat(config.pools.model_dump(mode="json"), "pools.")
        | flat(config.power.model_dump(mode="json"), "power.")
        | {"seed": config.seed}
    )
