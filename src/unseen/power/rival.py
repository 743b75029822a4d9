"""The other tests as contenders: the same toys, drawn from the same events in the same order as the kernel test's."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import UnknownNameError, did_you_mean
from unseen.power.contender import Contender, Reading
from unseen.rivals import Rival
from unseen.search.toys import plan_toys

__all__ = ["RivalCandidate", "Samples", "rival_contender"]

Floats = NDArray[np.float64]
OWN = 1  # spawn key of a toy's own randomness (splits, initial weights), apart from the draw of its events


@dataclass(frozen=True)
class Samples:
    """Events (n, d) in raw units, used for nothing else: settings, and what toys are made of; `expected` is N."""

    settings: Floats
    reference: Floats
    pool: Floats
    signals: Mapping[str, Floats]
    expected: float


@dataclass(frozen=True)
class RivalCandidate:
    """Trained tests and the events their toys are made of.

    All are evaluated on a toy together, their statistics side by side. Can be sent to other processes and used by
    several threads.
    """

    rivals: tuple[Rival, ...]
    samples: Samples
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _attached: dict[str | None, tuple[Rival, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def columns(self) -> int:
        """One: everything is computed together."""
        return 1

    def statistics(
        self, column: int, n_toys: int, seed: int, signal: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        """Return the statistics (n_toys, k) of all tests."""
        rivals, source = self._on(signal), self._signal(signal)
        plan = plan_toys(
            n_toys,
            self.samples.expected,
            len(self.samples.reference),
            len(self.samples.pool),
            "redrawn",
            seed,
            n_data,
            signal=(n_signal, len(source)),
        )
        step = max(rival.batch for rival in rivals)
        parts = []
        for first in range(0, n_toys, step):
            toys = range(first, min(first + step, n_toys))
            codes = np.stack([plan.draw(toy) for toy in toys])
            seeds = [np.random.SeedSequence([seed, toy], spawn_key=(OWN,)) for toy in toys]
            parts.append(np.hstack([rival.evaluate(codes, plan.expected[list(toys)], seeds) for rival in rivals]))
        return np.vstack(parts)

    def _signal(self, name: str | None) -> Floats:
        if name is None:
            return np.empty((0, self.samples.reference.shape[1]))
        if name not in self.samples.signals:
            raise UnknownNameError(f"no signal '{name}'{did_you_mean(name, self.samples.signals)}")
        return self.samples.signals[name]

    def _on(self, signal: str | None) -> tuple[Rival, ...]:
        """Return the tests attached to the union with a signal; those of the last signal are kept."""
        with self._lock:
            if signal not in self._attached:
                union = np.concatenate([self.samples.reference, self.samples.pool, self._signal(signal)])
                own = tuple(copy.copy(rival) for rival in self.rivals)  # another thread may still use another union
                for rival in own:
                    rival.attach(union)
                self._attached.clear()
                self._attached[signal] = own
            return self._attached[signal]

    def __getstate__(self) -> dict[str, Any]:
        return {"rivals": self.rivals, "samples": self.samples}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"_lock": threading.Lock(), "_attached": {}}).items():
            object.__setattr__(self, name, value)


def rival_contender(rival: Rival, samples: Samples) -> Contender:
    """Return `rival`, trained on the settings events, with the events of its toys."""
    rival.train(samples.settings, np.random.default_rng([rival.seed]))
    readings = tuple(Reading(name, (i,), name) for i, name in enumerate(rival.columns))
    return Contender(RivalCandidate((rival,), samples), readings)
