"""The stream of particle-level events of one process in one shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.seeds import generator, small_seed
from unseen.simulate.decays import DecayLibrary, stable_settings
from unseen.simulate.hadronisation import Rehadronising
from unseen.simulate.hooks import FIRST_OUTGOING, HARD_ROWS, HEAVY_QUARKS, heavy_quark_hook, lepton_hook
from unseen.simulate.isolation import LeptonCut
from unseen.simulate.particles import Int, Particles
from unseen.simulate.processes import Process, Slice
from unseen.simulate.pythia import FIDELITY, Generator, RawBatch
from unseen.simulate.redecay import complete, draw, find_candidates
from unseen.simulate.settings import Resimulations
from unseen.simulate.shower_weights import shower_weights, varied
from unseen.simulate.truth import hard_process

__all__ = ["Block", "EventSource", "measure_slices"]

# A heavy quark softer than this, relative to the lepton, does not make one.
QUARK_PT = 0.82
SURVEY = 20_000


@dataclass(frozen=True)
class Block:
    """Particle-level events in random order; `source` (n,) numbers the generated event, which copies share."""

    particles: Particles
    source: Int
    record: dict[str, NDArray[np.generic]]


def measure_slices(name: str, process: Process, seed: int) -> tuple[Slice, ...]:
    """The slices with their cross sections, measured from hard processes alone where not given (about 0.5 %)."""
    measured = []
    for index, part in enumerate(process.slices):
        if part.cross_section_pb is None:
            settings = (*process.settings, *part.settings, "PartonLevel:all=off")
            survey = Generator(name, settings, small_seed(seed, "simulate", "survey", name, index))
            survey.batch(SURVEY)
            part = part.model_copy(update={"cross_section_pb": survey.cross_section()[0]})
        measured.append(part)
    return tuple(measured)


class EventSource:
    """Draws events of one process: `next(tries)` lets Pythia try that many and returns those that are worth detecting.

    Slices are mixed event by event: each try goes to slice s with probability proportional to (cross section) x (cap),
    and heavy-flavour events are kept with probability p / cap, so the mixture is right whatever the caps. A cap that is
    lower than its slice's thins out the hard processes first, in the ratio of the two.

    With `resimulations` every generated event is hadronised several times, each with its own chance to be kept, then
    returned several times. Seen alone, each row is distributed like a fresh event, so rows have weight one. Those of
    one event are spread over the block, such that what a cut leaves of it is a random part.

    With `variations` the record has the columns of `shower_weights`, which the rows of an event share.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        fidelity: str,
        seed: int,
        path: tuple[str | int, ...],
        cut: LeptonCut,
        decays: DecayLibrary | None = None,
        copies: int = 1,
        trials: int = 400,
        resimulations: Resimulations = Resimulations(),  # noqa: B008
        variations: bool = False,
    ):
        self.process, self.cut, self.decays, self.trials = process, cut, decays, trials
        self.copies = copies if process.heavy_flavour else 1
        self.resimulations, self.variations, self._name = resimulations, variations, name
        self.slices = process.slices or (Slice(settings=(), cross_section_pb=1.0),)
        self.rng = generator(seed, *path, "source")
        self.tries = self.accepted = self.sources = 0
        self.lost = self.drawn = 0.0
        settings = (*process.settings, *FIDELITY[fidelity], "Check:abortIfVeto=on")
        if variations:
            settings = varied(settings)
        if process.heavy_flavour:
            settings = (*settings, *stable_settings())
        self._generators = [
            self._generator(name, (*settings, *part.settings), seed, path, index)
            for index, part in enumerate(self.slices)
        ]
        caps = [part.cap if process.heavy_flavour else 1.0 for part in self.slices]
        weights = np.array([(part.cross_section_pb or 0.0) * cap for part, cap in zip(self.slices, caps, strict=True)])
        self._total = float(weights.sum())
        self._probability = weights / weights.sum()

    def _generator(
        self, name: str, settings: tuple[str, ...], seed: int, path: tuple[str | int, ...], index: int
    ) -> Generator | Rehadronising:
        hook, first = self._hook(self.slices[index]), small_seed(seed, *path, "pythia", index)
        times = self.resimulations.hadronisation
        if times == 1:
            return Generator(name, settings, first, hook)
        return Rehadronising(name, settings, first, hook, times, small_seed(seed, *path, "hadronisation", index))

    def _hook(self, part: Slice) -> object:
        if self.process.heavy_flavour:
            return heavy_quark_hook(QUARK_PT * self.cut.pt_min, self._thinning(part), self.rng)
        wanted = self.process.filter
        return lepton_hook(wanted.lepton_pt_min, wanted.count) if wanted else None

    def _thinning(self, part: Slice) -> Callable[[float, bool], float]:
        caps = self.process.caps
        return (lambda pt_hat, heavy: caps.of(pt_hat, heavy) / part.cap) if caps else (lambda pt_hat, heavy: 1.0)

    def next(self, tries: int) -> Block:
        """Try that many events and return what is worth detecting, in random order."""
        self.tries += tries
        blocks = [
            self._slice(index, int(n)) for index, n in enumerate(self.rng.multinomial(tries, self._probability)) if n
        ]
        particles = Particles.concatenate([block.particles for block in blocks])
        order = self.rng.permutation(np.repeat(np.arange(len(particles)), self.resimulations.detector))
        record = {key: np.concatenate([b.record[key] for b in blocks])[order] for key in blocks[0].record}
        return Block(particles.take(order), np.concatenate([b.source for b in blocks])[order], record)

    def _slice(self, index: int, tries: int) -> Block:
        batch = self._generators[index].batch(tries)
        particles = batch.final()
        source = self.sources + batch.parent
        self.sources += batch.generated
        self.accepted += batch.generated
        record = {"slice": np.full(len(particles), index, np.int16), **hard_process(batch)}
        if self.variations:
            record |= shower_weights(batch, self._name)
        if self.process.heavy_flavour:
            particles, kept = self._redecay(particles, self._caps(index, batch))
            source, record = source[kept], {key: values[kept] for key, values in record.items()}
        return Block(particles, source, record)

    def _caps(self, index: int, batch: RawBatch) -> NDArray[np.float64]:
        """Cap of every event of a batch, from the same numbers as in the hook."""
        first = batch.offsets[:-1]
        outgoing = batch.p[first + FIRST_OUTGOING]
        partons = np.abs(batch.column("id")[first[:, None] + np.array(HARD_ROWS)])
        heavy = np.any(np.isin(partons, HEAVY_QUARKS), axis=1)
        caps = np.full(len(first), self.slices[index].cap)
        if self.process.caps is not None:
            caps = np.minimum(caps, self.process.caps.at(np.hypot(outgoing[:, 0], outgoing[:, 1]), heavy))
        return caps

    def _redecay(self, particles: Particles, caps: NDArray[np.float64]) -> tuple[Particles, Int]:
        assert self.decays is not None
        candidates = find_candidates(particles, self.decays, self.cut, self.trials, self.rng)
        p = candidates.probability(len(particles))
        self.drawn += float(np.sum(p / caps))
        self.lost += float(np.sum(np.maximum(p / caps - 1.0, 0.0)))
        rows = draw(candidates, p / caps, self.copies, self.rng)
        full, rows = complete(particles, self.decays, candidates, rows, self.cut, self.rng)
        return full, candidates.event[rows]

    @property
    def lost_fraction(self) -> float:
        """Part of the heavy-flavour cross section above the caps, which is missing."""
        return self.lost / self.drawn if self.drawn else 0.0

    def cross_section(self) -> float:
        """Cross section in pb that one returned row per try would stand for."""
        per_row = self._total / (self.copies * self.resimulations.rows)
        if self.process.slices:
            return per_row
        if self.process.cross_section_pb is not None:
            return per_row * self.process.cross_section_pb
        return per_row * self._generators[0].cross_section()[0] * self.tries / max(self.accepted, 1)
