"""Isolated leptons of QCD: decay the heavy hadrons of one event many times and keep it in proportion to its chance.

Brute force makes a triggered QCD event every few seconds: a heavy hadron rarely gives most of its momentum to a lepton.
Here heavy hadrons reach this stage undecayed. For each one with enough pt, `trials` (library decay, lepton, direction)
are drawn; a trial survives if its lepton passes the threshold and is isolated. The survivors of event i, each standing
for a probability m / trials (m = mean number of leptons in a decay of that species), sum to an unbiased estimate p_i of
the number of passing leptons per decay of the event. One survivor is chosen in proportion to its probability, and the
event is kept with probability min(1, p_i / cap). The product, (m / trials) / cap for each survivor, does not depend on
how noisy p_i is. The other hadrons then decay freely, and the event is kept with probability 1 / (number of passing
leptons), so that an event with two is not counted twice. What remains has weight one and the distribution of brute
force, up to the events with p_i > cap, of which a fraction 1 - cap / p_i is missing: `lost` adds that up, and the cap
comes from a pilot run such that it stays below a set value (CAP_LOSS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.decays import HEAVY, DecayLibrary
from unseen.simulate.isolation import LeptonCut, cone_sum
from unseen.simulate.kinematics import boost, pseudorapidity, random_rotations, rotate
from unseen.simulate.particles import Float, Int, Particles

__all__ = ["Candidates", "complete", "draw", "find_candidates"]

_SPECIES = np.full(max(HEAVY) + 1, -1)
_SPECIES[list(HEAVY)] = np.arange(len(HEAVY))
# What a decay leaves behind that is its own antiparticle: photon, pi0, K0L, K0S.
_OWN_ANTIPARTICLE = (22, 111, 130, 310)


@dataclass(frozen=True)
class Candidates:
    """Trials that survived, sorted by event.

    event and hadron: index of the event and particle row in the block; decay and row: of the library, where row is the
    lepton's; rotation (k, 3, 3); weight: the probability that the trial stands for.
    """

    event: Int
    hadron: Int
    decay: Int
    row: Int
    rotation: Float
    weight: Float

    def probability(self, n_events: int) -> Float:
        """p_i, the estimated number of passing leptons per decay of each event, (n_events,)."""
        return np.bincount(self.event, weights=self.weight, minlength=n_events).astype(np.float64)


def species_of(identity: NDArray[np.int32]) -> Int:
    """Index into HEAVY of each particle, or -1."""
    code = np.abs(identity)
    inside = code < len(_SPECIES)
    result: Int = np.where(inside, _SPECIES[np.where(inside, code, 0)], -1)
    return result


def find_candidates(
    events: Particles, library: DecayLibrary, cut: LeptonCut, trials: int, rng: np.random.Generator
) -> Candidates:
    """Draw `trials` decays with a lepton for each heavy hadron and keep those that pass the cut.

    Isolation counts the fixed particles of the event and the other products of the same hadron.
    """
    species = species_of(events.id)
    hard = np.hypot(events.p[:, 0], events.p[:, 1]) > cut.pt_min
    hadron = np.repeat(np.flatnonzero((species >= 0) & hard), trials)
    kind = species[hadron]
    entry = library.lepton_start[kind] + _uniform_index(np.diff(library.lepton_start)[kind], rng)
    rotation = random_rotations(len(hadron), rng)
    lepton = boost(rotate(library.decays.p[library.lepton_row[entry]], rotation), events.p[hadron])
    hard = _accepted(lepton, cut)
    hadron, entry, rotation, lepton = hadron[hard], entry[hard], rotation[hard], lepton[hard]
    decay, row, event = library.lepton_decay[entry], library.lepton_row[entry], events.event[hadron]
    identity = library.decays.id[row]
    limit = (cut.isolation + 1.0) * np.hypot(lepton[:, 0], lepton[:, 1])  # the lepton is among the products
    products = _products(library, decay, rotation, events.p[hadron], np.ones(len(decay)))
    cone = cone_sum(lepton, identity, products, np.arange(len(decay)), cut)
    keep = np.flatnonzero(cone < limit)
    cone[keep] += cone_sum(lepton[keep], identity[keep], events.where(species < 0), event[keep], cut)
    keep = keep[cone[keep] < limit[keep]]
    weight = library.leptons_per_decay[species[hadron[keep]]] / trials
    return Candidates(event[keep], hadron[keep], decay[keep], row[keep], rotation[keep], weight)


def draw(candidates: Candidates, keep: Float, copies: int, rng: np.random.Generator) -> Int:
    """Rows of `candidates` to go on with, at most `copies` per event.

    Each copy is an independent draw: with probability min(1, keep), where keep (n,) = p_i / cap, one survivor in
    proportion to its probability.
    """
    p, counts = candidates.probability(len(keep)), np.bincount(candidates.event, minlength=len(keep))
    event = np.repeat(np.arange(len(keep)), copies)
    event = event[rng.random(len(event)) < keep[event]]
    below = np.cumsum(candidates.weight)
    start = np.concatenate([[0.0], np.cumsum(p)])[event]
    rows = np.searchsorted(below, start + rng.random(len(event)) * p[event], side="right")
    first = (np.cumsum(counts) - counts)[event]
    return np.clip(rows, first, first + counts[event] - 1)  # guards the last digit of the running sums


def complete(
    events: Particles,
    library: DecayLibrary,
    candidates: Candidates,
    rows: Int,
    cut: LeptonCut,
    rng: np.random.Generator,
) -> tuple[Particles, Int]:
    """Decay everything: the chosen hadron as drawn, the others freely. Returns the events that stay and their rows.

    An event stays with probability 1 / (passing leptons), 0 if what else decayed spoiled the isolation of the chosen.
    """
    event = candidates.event[rows]
    base = events.take(event)
    species = species_of(base.id)
    heavy = np.flatnonzero(species >= 0)
    owner = base.event[heavy]
    chosen = candidates.hadron[rows] - events.offsets[:-1][event] + base.offsets[:-1]
    tagged = np.flatnonzero(np.isin(heavy, chosen))  # one per event, in the order of `rows`
    kind = species[heavy]
    decay = library.decay_start[kind] + _uniform_index(np.diff(library.decay_start)[kind], rng)
    rotation = random_rotations(len(heavy), rng)
    decay[tagged], rotation[tagged] = candidates.decay[rows], candidates.rotation[rows]
    products = _products(library, decay, rotation, base.p[heavy], np.sign(base.id[heavy]))
    parent = products.event
    full = base.where(species < 0).merge(Particles.group(owner[parent], products.id, products.p, len(rows)))
    from_hard = (np.hypot(base.p[heavy, 0], base.p[heavy, 1]) > cut.pt_min)[parent]
    lepton = np.flatnonzero(np.isin(np.abs(products.id), (11, 13)) & from_hard & _accepted(products.p, cut))
    p, where = products.p[lepton], owner[parent[lepton]]
    cone = cone_sum(p, products.id[lepton], full, where, cut)
    passing = cone < (cut.isolation + 1.0) * np.hypot(p[:, 0], p[:, 1])
    own = products.offsets[:-1][tagged] + candidates.row[rows] - library.decays.offsets[:-1][candidates.decay[rows]]
    good = np.isin(own, lepton[passing])
    n_passing = np.bincount(where[passing], minlength=len(rows))
    stay = np.flatnonzero(good & (rng.random(len(rows)) * n_passing < 1.0))
    return full.take(stay), rows[stay]


def _products(library: DecayLibrary, decay: Int, rotation: Float, frame: Float, sign: NDArray[Any]) -> Particles:
    """Products of library decays as seen in the lab, one "event" per hadron; antiparticles of them where sign < 0."""
    products = library.decays.take(decay)
    hadron = products.event
    flip = (sign[hadron] < 0) & ~np.isin(products.id, _OWN_ANTIPARTICLE)
    p = boost(rotate(products.p, rotation[hadron]), frame[hadron])
    return Particles(products.offsets, np.where(flip, -products.id, products.id).astype(np.int32), p)


def _accepted(lepton: Float, cut: LeptonCut) -> NDArray[np.bool_]:
    pt = np.hypot(lepton[:, 0], lepton[:, 1])
    result: NDArray[np.bool_] = (pt > cut.pt_min) & (np.abs(pseudorapidity(lepton)) < cut.abs_eta_max)
    return result


def _uniform_index(counts: Int, rng: np.random.Generator) -> Int:
    return np.floor(rng.random(len(counts)) * counts).astype(np.int64)
