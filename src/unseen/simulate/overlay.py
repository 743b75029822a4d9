"""The underlying event of fast fidelity: taken from a library instead of being made anew for every event.

Multi-parton interactions are nine tenths of the time of full simulation. The library holds W events with them and with
pt(W) < 5 GeV (little recoils against it), without the W. An event gets one of them at random, turned by
a random angle and reflected along the beam with probability one half.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unseen.events.atomic import write_whole
from unseen.simulate.hooks import soft_boson_hook
from unseen.simulate.kinematics import pseudorapidity
from unseen.simulate.particles import INVISIBLE, Particles
from unseen.simulate.pythia import FIDELITY, Generator

__all__ = ["UnderlyingEvents", "make_underlying_events"]

# The W does not decay, so that no photon that a lepton radiated stays behind.
SETTINGS = ("WeakSingleBoson:ffbar2W=on", "24:mayDecay=off", "Check:abortIfVeto=on")
PT_W_MAX = 5.0
# Interleaved evolution stops at this scale for events that already recoil too much to come back: 3 times faster.
VETO_SCALE = 6.0
VETO_PT = 8.0
ABS_ETA_MAX = 5.5
BATCH = 500


@dataclass(frozen=True)
class UnderlyingEvents:
    """Visible particles of underlying events."""

    events: Particles

    def overlay(self, events: Particles, rng: np.random.Generator) -> Particles:
        """Add one underlying event, drawn with replacement, to each event."""
        n = len(events)
        chosen = self.events.take(rng.integers(len(self.events), size=n))
        phi = rng.uniform(0.0, 2 * np.pi, n)[chosen.event]
        side = np.where(rng.random(n) < 0.5, -1.0, 1.0)[chosen.event]
        px, py, pz, e = chosen.p.T
        cos, sin = np.cos(phi), np.sin(phi)
        p = np.stack([cos * px - sin * py, sin * px + cos * py, side * pz, e], axis=1)
        return events.merge(Particles(chosen.offsets, chosen.id, p))

    def save(self, path: Path) -> None:
        """Write atomically; equal libraries give equal bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, offsets=self.events.offsets, id=self.events.id, p=self.events.p.astype(np.float32))
        with write_whole(path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> UnderlyingEvents:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(Particles(file["offsets"], file["id"], file["p"].astype(np.float64)))


def make_underlying_events(seed: int, size: int) -> UnderlyingEvents:
    """Generate `size` underlying events in full fidelity."""
    generator = Generator(
        "underlying event", (*SETTINGS, *FIDELITY["full"]), seed, soft_boson_hook(VETO_SCALE, VETO_PT)
    )
    parts: list[Particles] = []
    while sum(len(part) for part in parts) < size:
        batch = generator.batch(min(BATCH, 2 * size))
        final = batch.final()
        boson = np.abs(final.id) == 24
        pt = np.zeros(len(final))
        np.maximum.at(pt, final.event[boson], np.hypot(final.p[boson, 0], final.p[boson, 1]))
        unseen = boson | np.isin(np.abs(final.id), INVISIBLE) | (np.abs(pseudorapidity(final.p)) > ABS_ETA_MAX)
        parts.append(final.where(~unseen).take(np.flatnonzero(pt < PT_W_MAX)))
    return UnderlyingEvents(Particles.concatenate(parts).take(np.arange(size)))
