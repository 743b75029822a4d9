"""Library of heavy-hadron decays in the rest frame: every charm and bottom hadron that decays weakly."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseen.events.atomic import write_whole
from unseen.simulate.particles import Float, Int, Particles
from unseen.simulate.pythia import Generator

__all__ = ["HEAVY", "DecayLibrary", "make_decays", "stable_settings"]

# Weakly decaying bottom and charm hadrons; their excited states decay to these within Pythia.
HEAVY = (511, 521, 531, 541, 5122, 5132, 5232, 5332, 411, 421, 431, 4122, 4132, 4232, 4332)


def stable_settings() -> tuple[str, ...]:
    """Pythia settings that leave the heavy hadrons undecayed."""
    return tuple(f"{identity}:mayDecay=off" for identity in HEAVY)


@dataclass(frozen=True)
class DecayLibrary:
    """Decays at rest of all species: `decays` event d belongs to species `species[d]` (index into HEAVY).

    Entries (one per decay and charged lepton in it) are sorted by species: species s owns the rows
    lepton_start[s]:lepton_start[s + 1] of `lepton_decay` (which decay) and `lepton_row` (which particle row).
    """

    decays: Particles
    species: Int
    lepton_decay: Int
    lepton_row: Int

    @property
    def decay_start(self) -> Int:
        """First decay of every species, (species + 1,)."""
        return np.searchsorted(self.species, np.arange(len(HEAVY) + 1))

    @property
    def lepton_start(self) -> Int:
        """First lepton entry of every species, (species + 1,)."""
        return np.searchsorted(self.species[self.lepton_decay], np.arange(len(HEAVY) + 1))

    @property
    def leptons_per_decay(self) -> Float:
        """Mean number of electrons and muons in a decay of every species, (species,)."""
        return np.diff(self.lepton_start) / np.diff(self.decay_start)

    def save(self, path: Path) -> None:
        """Write atomically; equal libraries give equal bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, offsets=self.decays.offsets, id=self.decays.id, p=self.decays.p, species=self.species)
        with write_whole(path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> DecayLibrary:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls.index(Particles(file["offsets"], file["id"], file["p"]), file["species"])

    @classmethod
    def index(cls, decays: Particles, species: Int) -> DecayLibrary:
        """Find the leptons of decays that are sorted by species."""
        rows = np.flatnonzero(np.isin(np.abs(decays.id), (11, 13)))
        return cls(decays, species, decays.event[rows], rows)


def make_decays(seed: int, size: int) -> DecayLibrary:
    """`size` decays of each species (rest frame, unpolarised, all channels with Pythia's branching ratios)."""
    generator = Generator("heavy-hadron decays", ("ProcessLevel:all=off", "TauDecays:mode=0"), seed)
    pythia = generator.pythia
    identities: list[NDArray[np.int32]] = []
    momenta: list[Float] = []
    for identity in HEAVY:
        mass = pythia.particleData.m0(identity)
        for _ in range(size):
            pythia.event.reset()
            pythia.event.append(identity, 1, 0, 0, 0.0, 0.0, 0.0, mass, mass)
            if not pythia.next():
                raise RuntimeError(f"Pythia could not decay hadron {identity}")
            final = [particle for particle in pythia.event if particle.isFinal()]
            identities.append(np.array([f.id() for f in final], np.int32))
            momenta.append(np.array([(f.px(), f.py(), f.pz(), f.e()) for f in final]))
    counts = np.array([len(ids) for ids in identities])
    decays = Particles(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(identities), np.concatenate(momenta))
    return DecayLibrary.index(decays, np.repeat(np.arange(len(HEAVY)), size))
