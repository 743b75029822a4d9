"""What every rival has in common: settings from events set apart, toys in batches, and the calibrated result.

A rival learns whatever it needs (units, bandwidths, cells, density models) from simulated events set apart, takes the
union of the events that toys are made of, and evaluates many toys at once from their codes (`unseen.search.toys`).
`fit`, `statistic`, `calibrate` and `search` are the words of `unseen.KernelTest` and draw the same toys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import NotEnoughEventsError, NotFittedError, ShapeError
from unseen.rivals.rank_null import RankNull
from unseen.rivals.result import Measured, conclude
from unseen.rivals.sample import Sample
from unseen.search.checks import check_comparable
from unseen.search.normalisation import Normalisation
from unseen.search.null import MIN_TOYS, Null
from unseen.search.result import SearchResult
from unseen.search.scale import Scale
from unseen.search.toys import Codes, plan_toys
from unseen.search.validate import Floats, Keys, as_events, check_count, check_disjoint, row_keys

__all__ = ["Rival", "Seed"]

Seed = np.random.SeedSequence | int
MIN_TRAINING = 20  # settings events below which no bandwidth, cell or density is worth anything
SET_APART = 1000  # reference events taken for the settings where none are given, at most a fifth
EVALUATION, OBSERVED = 1, 2  # spawn keys: a toy's own randomness and the data's, apart from the draws of events


class Rival(ABC):
    """A two-sample test whose toys are evaluated in batches on one union of simulated events.

    `columns` names the statistics of one evaluation; larger is more anomalous. `normalisation` says whether they
    compare the number of data events with the expectation ("known") or test the shape alone ("free"). A data sample
    needs `min_events` events, a reference too. `batch` toys are evaluated at once by `calibrate`. `standardise` False
    leaves events in raw units.
    """

    name: ClassVar[str]
    columns: tuple[str, ...]
    normalisation: ClassVar[str] = "free"
    min_events: ClassVar[int] = 1
    min_training: int = MIN_TRAINING
    standardise: ClassVar[bool] = True
    batch: ClassVar[int] = 64

    def __init__(self, seed: int = 0) -> None:
        self.seed = check_count("seed", seed, 0)
        self._scale: Scale | None = None
        self._size: int | None = None
        self._sample: Sample | None = None
        self._nulls: dict[str, Null] | None = None
        self._pool_keys: Keys | None = None

    # What a rival defines; events arrive validated, in units of the training events' moments.

    @abstractmethod
    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        """Fix everything that depends on the training events z (n, d)."""

    @abstractmethod
    def _attach(self, z: Floats) -> None:
        """Take the union z (m, d)."""

    @abstractmethod
    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        """Return the statistics (T, columns) of validated toys."""

    # The interface of toys.

    def train(self, training: ArrayLike, rng: np.random.Generator) -> Self:
        """Fix the settings from events set apart (n, d) in raw units; no test event may be among them."""
        x = as_events("training", training)
        if len(x) < self.min_training:
            raise NotEnoughEventsError(
                f"{self.name} has {len(x)} events to train on; at least {self.min_training} are needed"
            )
        self._scale = Scale.measure(x, np.ones(len(x))) if self.standardise else Scale.identity(x.shape[1])
        self._size = None
        self._train(self._scale(x), rng)
        return self

    def attach(self, x: ArrayLike) -> None:
        """Take the union (m, d) in raw units and compute what toys share."""
        scale = self._need_training()
        z = scale(as_events("union", x, len(scale.mean)))
        self._attach(z)
        self._size = len(z)

    def evaluate(self, codes: Codes, expected: ArrayLike, seeds: Sequence[Seed]) -> Floats:
        """Return the statistics (T, columns) of toys `codes` (T, m): +1 reference, -1 data, 0 neither.

        `expected` (T,) is each toy's N; `seeds` (T,) feed tests that have randomness of their own. A toy's statistics
        depend on its codes, N and seed alone, never on the batch (to rounding).

        Errors: NotFittedError (no union), ShapeError, NotEnoughEventsError (a toy with too few events).
        """
        if self._size is None:
            raise NotFittedError(f"{self.name} has no union of events yet; call attach(x) first")
        codes, n = np.asarray(codes, dtype=np.int8), np.asarray(expected, dtype=np.float64)
        if codes.ndim != 2 or codes.shape[1] != self._size:
            raise ShapeError(f"codes have shape {codes.shape}; expected (toys, {self._size})")
        if n.shape != (len(codes),) or len(seeds) != len(codes):
            raise ShapeError(f"{len(codes)} toys have expected {n.shape} and {len(seeds)} seeds; one each is needed")
        for what, code in (("reference", 1), ("data", -1)):
            fewest = int(np.count_nonzero(codes == code, axis=1).min(initial=self._size))
            if fewest < self.min_events:
                raise NotEnoughEventsError(
                    f"{self.name} got a toy of {fewest} {what} events; it needs at least {self.min_events}"
                )
        if not (n > 0).all():
            raise ShapeError(f"expected is {n.min():g} for a toy; it must be above zero")
        return self._evaluate(codes, n, seeds)

    # The interface of searches, in the words of KernelTest.

    def fit(self, reference: ArrayLike, expected: float | None = None, settings: ArrayLike | None = None) -> Self:
        """Take `reference` (n, d), which stands for `expected` data events (default: as many), and train.

        `settings` (m, d) are simulated events used for nothing else; without them up to 1000 reference events, at most
        a fifth, are set apart.
        """
        rng = np.random.default_rng([self.seed])
        self._sample = Sample.split(reference, expected, settings, max(SET_APART, self.min_training), rng)
        self._nulls, self._pool_keys = None, None
        return self.train(self._sample.settings, rng)

    def statistic(self, data: ArrayLike) -> Measured:
        """Return the statistics of `data` (n, d) against the reference."""
        sample = self._need_fit()
        x = as_events("data", data, sample.reference.shape[1])
        self.attach(np.concatenate([sample.reference, x]))
        codes = np.repeat(np.array([1, -1], dtype=np.int8), [len(sample.reference), len(x)])
        seed = np.random.SeedSequence([self.seed], spawn_key=(OBSERVED,))
        t = self.evaluate(codes[None], np.array([sample.expected]), [seed])[0]
        return Measured(self.columns, t, len(x))

    def calibrate(
        self,
        pool: ArrayLike,
        n_toys: int = 1000,
        seed: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, Null]:
        """Return the null of every column from toys that redraw the reference with the data, and keep them.

        `pool` (n, d) are simulated events used for nothing else; `progress(done, total)` is called after each batch.
        """
        sample = self._need_fit()
        x = as_events("pool", pool, sample.reference.shape[1])
        keys = row_keys(x)
        sample.check_new("pool", keys)
        n_toys = check_count("n_toys", n_toys, MIN_TOYS)
        seed = check_count("seed", seed, 0)
        n = len(sample.reference)
        plan = plan_toys(n_toys, sample.expected, n, len(x), "redrawn", seed, assumed=sample.assumed)
        self.attach(np.concatenate([sample.reference, x]))
        t = np.empty((n_toys, len(self.columns)))
        for first in range(0, n_toys, self.batch):
            toys = range(first, min(first + self.batch, n_toys))
            codes = np.stack([plan.draw(toy) for toy in toys])
            seeds = [np.random.SeedSequence([seed, toy], spawn_key=(EVALUATION,)) for toy in toys]
            t[toys.start : toys.stop] = self.evaluate(codes, plan.expected[toys.start : toys.stop], seeds)
            if progress is not None:
                progress(toys.stop, n_toys)
        self._nulls = {
            column: RankNull(t[:, [k]], column, n_pool=len(x), reason="the only calibration of a rival")
            for k, column in enumerate(self.columns)
        }
        self._pool_keys = keys
        return self._nulls

    def search(self, data: ArrayLike) -> dict[str, SearchResult]:
        """Return the calibrated result of every column for `data` (n, d)."""
        sample, nulls, pool_keys = self._need_fit(), self._nulls, self._pool_keys
        if nulls is None or pool_keys is None:
            raise NotFittedError("search needs a null distribution; call calibrate(pool) first")
        x = as_events("data", data, sample.reference.shape[1])
        keys = row_keys(x)
        sample.check_new("data", keys)
        check_disjoint("data", keys, "the pool", pool_keys)
        for null in nulls.values():
            check_comparable(null, len(x), sample.expected, Normalisation.parse(self.normalisation))
        return conclude(self.statistic(x), nulls, sample, self.normalisation, pool_keys)

    def _need_training(self) -> Scale:
        if self._scale is None:
            raise NotFittedError(f"{self.name} is not trained; call train(training, rng) or fit(reference) first")
        return self._scale

    def _need_fit(self) -> Sample:
        if self._sample is None:
            raise NotFittedError(f"{self.name} has no reference yet; call fit(reference) first")
        return self._sample
