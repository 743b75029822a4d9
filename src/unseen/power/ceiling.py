"""The Neyman-Pearson test as a contender: it knows the signal, so no test does better."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError
from unseen.power.contender import Contender, Reading
from unseen.power.rival import Samples
from unseen.rivals import Ceiling
from unseen.rivals.ceiling import per_event
from unseen.seeds import generator

__all__ = ["CeilingCandidate", "ceiling_contender", "learned_ceiling"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CeilingCandidate:
    """The ceilings of several signals on toys whose background is drawn from reference and pool with replacement.

    The other tests compare data with a reference drawn from the same events, which is exact without replacement. This
    one compares with nothing: without replacement, N of U events fluctuate too little, by a factor 1 - N / U in the
    variance, and the ceiling would be too high.
    """

    ceilings: tuple[Ceiling, ...]
    samples: Samples
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _terms: dict[str | None, Floats] = field(default_factory=dict, repr=False, compare=False)

    @property
    def columns(self) -> int:
        """One: everything is computed together."""
        return 1

    def statistics(
        self, column: int, n_toys: int, seed: int, signal: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        """Return 2 [ sum_D log(1 + N_S / N r(x)) - N_S ] (n_toys, columns) for each N_S of each signal."""
        background = self._of(None)
        source = background[:0] if signal is None else self._of(signal)
        if n_signal > len(source):
            raise NotEnoughEventsError(f"pseudo-data with {n_signal} signal events were asked for, of {len(source)}")
        sums = np.empty((n_toys, background.shape[1]))
        for toy in range(n_toys):
            rng = np.random.default_rng([seed, toy])
            n = rng.poisson(self.samples.expected) if n_data is None else n_data
            sums[toy] = background[rng.integers(len(background), size=n)].sum(axis=0)
            if n_signal:
                sums[toy] += source[rng.choice(len(source), n_signal, replace=False)].sum(axis=0)
        t: Floats = 2.0 * (sums - np.array([n for ceiling in self.ceilings for n in ceiling.n_signal]))
        return t

    def _of(self, name: str | None) -> Floats:
        """Return log(1 + N_S / N r) (n, columns) of the events of a signal, or of the background."""
        with self._lock:
            if name not in self._terms:
                s = self.samples
                x = np.concatenate([s.reference, s.pool]) if name is None else s.signals[name]
                log_r = [np.asarray(ceiling.log_ratio(x), dtype=np.float64) for ceiling in self.ceilings]
                terms = [
                    per_event(values, n, s.expected)
                    for values, ceiling in zip(log_r, self.ceilings, strict=True)
                    for n in ceiling.n_signal
                ]
                self._terms[name] = np.stack(terms, axis=1)
            return self._terms[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"ceilings": self.ceilings, "samples": self.samples}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"_lock": threading.Lock(), "_terms": {}}).items():
            object.__setattr__(self, name, value)


def ceiling_contender(ceilings: Mapping[str, Ceiling], injections: Sequence[int], samples: Samples) -> Contender:
    """Return the tests that know the signal, one for each, made for the positive numbers among `injections`.

    For no signal events at all, the smallest number stands.
    """
    knowing, start = {}, 0
    for name, ceiling in ceilings.items():
        at = {round(n): start + i for i, n in enumerate(ceiling.n_signal)}
        knowing[name] = tuple(at.get(n, start) for n in injections)
        start += len(ceiling.n_signal)
    reading = Reading("ceiling", (0,), "ceiling", knowing=knowing)
    return Contender(CeilingCandidate(tuple(ceilings.values()), samples), (reading,))


def learned_ceiling(
    samples: Samples, background: Floats, signals: Mapping[str, Floats], injections: Sequence[int], seed: int
) -> Contender:
    """Return the ceiling whose likelihood ratios a classifier learns from `background` and `signals`, disjoint events.

    Raises NotEnoughEventsError if no background is left for it.
    """
    positive = sorted(n for n in injections if n > 0)
    if len(background) == 0:
        raise NotEnoughEventsError("no background events are left to train the ceiling on; lower --pool or add events")
    ceilings = {
        name: Ceiling.learn(background, x, positive, generator(seed, "power", "ceiling", name))
        for name, x in signals.items()
    }
    return ceiling_contender(ceilings, injections, samples)
