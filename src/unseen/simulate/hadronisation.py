"""The same partons hadronised several times: new strings and new decays of hadrons and taus.

What comes before is shared: hard process, decays of resonances, showers (with the photons that leptons radiate) and, in
full fidelity, multi-parton interactions. Positives for contrastive learning, after RS3L (arXiv:2403.07066).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unseen.simulate.hooks import begin_event_hook
from unseen.simulate.pythia import Generator, RawBatch, captured, pythia_module

__all__ = ["Rehadronising"]

PARTONS = ("HadronLevel:all=off",)
# Leaves every event as the hook has put it there. Pythia's own check would compare it with itself.
NOTHING = ("Beams:frameType=1", "ProcessLevel:all=off", "PartonLevel:all=off", "HadronLevel:all=off", "Check:event=off")
# What the second Pythia does not know about the hard process.
INFO = ("pT2Hat", "mHat")


class Rehadronising:
    """As `Generator`, but the partons of every event are hadronised `times` times, with random numbers of their own.

    One Pythia, with `hooks`, makes the partons; a second one takes each event over as often as asked, hadronises it and
    hands over the records as a batch. Errors: PythiaSettingsError.
    """

    def __init__(self, name: str, settings: Sequence[str], seed: int, hooks: Any, times: int, hadronisation_seed: int):
        self.times = times
        self._partons = Generator(name, (*settings, *PARTONS), seed, hooks)
        self._copies = _Copies()
        self._hadrons = Generator(name, (*settings, *NOTHING), hadronisation_seed, begin_event_hook(self._copies.begin))
        self._copies.pythia = self._hadrons.pythia

    def batch(self, n: int) -> RawBatch:
        """Try n events: `times` records of each that Pythia finishes and no hook vetoes, one after the other."""
        events, info = self._generate(n)
        total = len(events) * self.times
        self._copies.begin_batch(event for event in events for _ in range(self.times))
        with captured():
            records = self._hadrons.pythia.nextBatch(total)
        made = np.array(self._copies.made, dtype=np.bool_)
        if not len(records) == len(made) == total:
            raise RuntimeError(f"Pythia returned {len(records)} of {total} hadronised events")
        parent = np.repeat(np.arange(len(events)), self.times)
        if not made.all():
            import awkward as ak

            records, parent = ak.to_packed(records[made]), parent[made]
        known = {name: np.array(values)[parent] for name, values in info.items()}
        return RawBatch(records, len(events), parent, known, self._partons.weight_names())

    def cross_section(self) -> tuple[float, float]:
        """Pythia's estimate so far and its error, in pb; an event counts once."""
        return self._partons.cross_section()

    def _generate(self, n: int) -> tuple[list[Any], dict[str, list[Any]]]:
        """Parton-level event records, and their values of INFO and weights."""
        pythia, copy = self._partons.pythia, pythia_module().Event
        events: list[Any] = []
        info: dict[str, list[Any]] = {name: [] for name in (*INFO, "weights")}
        with captured():
            for _ in range(n):
                if pythia.next():
                    events.append(copy(pythia.event))
                    about = pythia.infoPython()
                    for name in INFO:
                        info[name].append(float(getattr(about, name)()))
                    info["weights"].append(tuple(about.weightValueVector()))
        return events, info


class _Copies:
    """Puts the next waiting event in the place of each that a Pythia begins, and hadronises it."""

    pythia: Any = None

    def __init__(self) -> None:
        self.begin_batch(iter(()))

    def begin_batch(self, events: Iterator[Any]) -> None:
        """What the next batch is made of; `made` says of each whether Pythia could hadronise it."""
        self._events = events
        self.made: list[bool] = []

    def begin(self) -> None:
        """Called by Pythia at the beginning of each event."""
        self.pythia.event = next(self._events)
        # False: the junctions are in the record. A new search does not find those of the beam remnants.
        self.made.append(bool(self.pythia.forceHadronLevel(False)))
