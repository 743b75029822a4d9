"""Small studies: a kernel test and rivals that fit in milliseconds, with events for their toys."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from tests.rivals.problems import SMALL, Codes
from tests.search.problems import Floats, mixture, small_test
from unseen.power import Candidate
from unseen.power.rival import RivalCandidate, Samples, rival_contender
from unseen.rivals import Rival
from unseen.rivals.base import Seed
from unseen.search import KernelTest, PseudoData

N = 80.0
SIGNALS = {"bump": ([2.5, -2.0], 0.15), "ring": ([-2.0, 2.0], 0.5)}


def sample(seed: int, n: int) -> Floats:
    return mixture(np.random.default_rng(seed), n)


def signals(n: int = 120) -> dict[str, Floats]:
    rng = np.random.default_rng(3)
    return {name: rng.normal(centre, width, (n, 2)) for name, (centre, width) in SIGNALS.items()}


def samples() -> Samples:
    return Samples(sample(0, 150), sample(1, 400), sample(2, 500), signals(), N)


def fitted(**options: object) -> KernelTest:
    own = samples()
    return small_test(**options).fit(own.reference, expected=N, settings=own.settings)


def pseudo_data(reference: str = "auto", **options: object) -> PseudoData:
    own = samples()
    return fitted(**options).pseudo_data(own.pool, own.signals, reference=reference)


def rival(name: str) -> Candidate:
    return rival_contender(SMALL[name](), samples()).candidate


class Recorder(Rival):
    """A rival whose statistics say what its toys are: how many events play what, and a hash of all of it."""

    name: ClassVar[str] = "recorder"
    columns = ("n_reference", "n_data", "n_signal", "background")

    def __init__(self, n_source: int) -> None:
        super().__init__()
        self.n_source = n_source

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass

    def _attach(self, z: Floats) -> None:
        pass

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        return np.array([summary(code, self.n_source) for code in codes])


def summary(code: Codes, n_source: int) -> list[float]:
    """Return the numbers of reference, data and signal events of a toy, and a hash of its background."""
    split = len(code) - n_source
    n_signal = np.count_nonzero(code[split:])
    return [np.count_nonzero(code > 0), np.count_nonzero(code < 0), n_signal, zlib.crc32(code[:split].tobytes())]


def recorded(n_toys: int, seed: int, name: str | None, n_signal: int, n_data: int | None) -> Floats:
    """Return what a rival's toys are."""
    own = samples()
    spy = Recorder(0 if name is None else len(own.signals[name])).train(own.settings, np.random.default_rng(0))
    return RivalCandidate((spy,), own).statistics(0, n_toys, seed, name, n_signal, n_data)


@dataclass(frozen=True)
class Counting:
    """A candidate that writes a mark into a folder whenever it computes."""

    inner: Candidate
    folder: Path

    @property
    def columns(self) -> int:
        return self.inner.columns

    def statistics(
        self, column: int, n_toys: int, seed: int, signal: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        (self.folder / f"{column}-{seed}-{n_toys}").touch(exist_ok=False)
        return self.inner.statistics(column, n_toys, seed, signal, n_signal, n_data)


@dataclass(frozen=True)
class Mortal:
    """A candidate whose process dies, once, in the middle of a scan."""

    inner: Candidate
    mark: Path

    @property
    def columns(self) -> int:
        return self.inner.columns

    def statistics(
        self, column: int, n_toys: int, seed: int, signal_name: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        t = self.inner.statistics(column, n_toys, seed, signal_name, n_signal, n_data)
        if n_signal > 0 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return t
