"""What a power study computes: toys without and with signal, in chunks that can be done anywhere and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unseen.errors import ConfigError
from unseen.power.candidate import Candidate
from unseen.seeds import small_seed

__all__ = ["Chunk", "Sample", "Scan", "chunks", "samples"]


@dataclass(frozen=True)
class Sample:
    """A set of toys: `n_signal` events of `signal` (None: background alone) and `n_data` background events each.

    n_data None means a number thrown from the expectation.
    """

    signal: str | None
    n_signal: int
    n_data: int | None

    @property
    def name(self) -> str:
        """A name for files."""
        fixed = "" if self.n_data is None else f"-of-{self.n_data + self.n_signal}"
        return f"null{fixed}" if self.signal is None else f"{self.signal}-{self.n_signal}{fixed}"


@dataclass(frozen=True)
class Chunk:
    """Toys of one sample at one column (such as a kernel width) of one test; `n_toys` of them from `seed`."""

    test: str
    column: int
    sample: Sample
    index: int
    n_toys: int
    seed: int


@dataclass(frozen=True)
class Scan:
    """A scan over numbers of signal events.

    `injections` are the numbers; `n_toys` pseudo-data sets at each, `n_null` null toys, thrown once for all signals and
    injections. `fixed_data` is the number of background events of a test of shape alone, whose null conditions on N_D
    and differs between injections; None where N_D is thrown. `chunk` toys are computed together; they and their seeds
    do not depend on how many toys there are, so a longer scan adds to a shorter one.
    """

    signals: tuple[str, ...]
    injections: tuple[int, ...]
    n_toys: int
    n_null: int
    seed: int
    fixed_data: int | None = None
    chunk: int = 100

    def __post_init__(self) -> None:
        if not self.signals or not self.injections:
            raise ConfigError("a power study needs at least one signal and one number of signal events")
        if min(self.injections) < 0 or len(set(self.injections)) < len(self.injections):
            raise ConfigError(f"numbers of signal events must be different and not negative, got {self.injections}")
        if min(self.n_toys, self.n_null, self.chunk) < 1:
            raise ConfigError(f"n_toys is {self.n_toys} and n_null {self.n_null}; both must be at least 1")

    def null(self, n_signal: int) -> Sample:
        """Return the null sample that data with `n_signal` signal events are compared with."""
        return Sample(None, 0, None if self.fixed_data is None else self.fixed_data + n_signal)

    def with_signal(self, signal: str, n_signal: int) -> Sample:
        """Return the sample of pseudo-data."""
        return Sample(signal, n_signal, self.fixed_data)


def samples(scan: Scan, nulls: bool) -> list[tuple[Sample, int]]:
    """Return the samples of a scan and their numbers of toys: the nulls first, each once, if they are toys at all."""
    found = {scan.null(n): scan.n_null for n in scan.injections} if nulls else {}
    for signal in scan.signals:
        found |= {scan.with_signal(signal, n): scan.n_toys for n in scan.injections}
    return list(found.items())


def chunks(scan: Scan, candidates: Mapping[str, Candidate], nulls: Mapping[str, bool]) -> Iterable[Chunk]:
    """Yield all chunks, those that share features (test, column, signal) one after the other.

    `nulls` says for which tests the null consists of toys.
    """
    for name, candidate in candidates.items():
        for column in range(candidate.columns):
            for sample, n_toys in samples(scan, nulls[name]):
                for index, start in enumerate(range(0, n_toys, scan.chunk)):
                    # The seed knows neither test nor column: all of them see the same toys.
                    seed = small_seed(scan.seed, "power", sample.name, index)
                    yield Chunk(name, column, sample, index, min(scan.chunk, n_toys - start), seed)
