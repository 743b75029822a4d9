"""The ceiling of all tests: Neyman and Pearson's, which knows the signal (spec section 8).

With r = p_signal / p_background and N_S signal events expected on top of N background ones, the most powerful test is
the extended likelihood ratio t = 2 [ sum_D log(1 + N_S / N r(x)) - N_S ].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, ShapeError
from unseen.rivals.base import Rival, Seed
from unseen.rivals.supervised import learn_log_ratio
from unseen.search.toys import Codes
from unseen.search.validate import Floats, check_positive

__all__ = ["Ceiling", "LogRatio"]

LogRatio = Callable[[Floats], Floats]


class Ceiling(Rival):
    """t = 2 [ sum_D log(1 + N_S / N r(x)) - N_S ], one column for each N_S of `n_signal`.

    `log_ratio` gives log r (n,) of events (n, d) in raw units: a closed form, or one learned from simulated events of
    both kinds (`learn`). A learned one gives a lower bound on the true ceiling. Nothing is trained on the settings
    events; -inf (no signal here) is a valid log r.
    """

    name: ClassVar[str] = "ceiling"
    normalisation: ClassVar[str] = "known"
    min_training = 1
    standardise: ClassVar[bool] = False

    def __init__(self, n_signal: float | Sequence[float], log_ratio: LogRatio, seed: int = 0) -> None:
        super().__init__(seed)
        counts = np.atleast_1d(np.asarray(n_signal, dtype=np.float64))
        if counts.ndim != 1 or len(counts) == 0:
            raise ConfigError(f"n_signal is {n_signal!r}; expected a number or a list of numbers")
        self.n_signal = tuple(check_positive("n_signal", n) for n in counts)
        self.columns = tuple(f"ceiling_{n:g}" for n in self.n_signal)
        if len(set(self.columns)) < len(self.columns):
            raise ConfigError(f"n_signal {n_signal!r} has equal numbers; give each once")
        self.log_ratio = log_ratio

    @classmethod
    def learn(
        cls,
        background: ArrayLike,
        signal: ArrayLike,
        n_signal: float | Sequence[float],
        rng: np.random.Generator,
        seed: int = 0,
    ) -> Self:
        """Return the ceiling whose r a classifier learned from events (n, d) that are used for nothing else."""
        return cls(n_signal, learn_log_ratio(background, signal, rng), seed)

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass  # the signal is known, there is nothing to learn from background

    def _attach(self, z: Floats) -> None:
        log_r = np.asarray(self.log_ratio(z), dtype=np.float64)
        if log_r.shape != (len(z),) or np.isnan(log_r).any() or (log_r == np.inf).any():
            raise ShapeError(
                f"log_ratio gave shape {log_r.shape} or NaN or +inf for {len(z)} events; expected ({len(z)},)"
            )
        self._log_r = log_r

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        data = (codes < 0).astype(np.float64)
        t = np.empty((len(codes), len(self.n_signal)))
        for n in np.unique(expected):  # one value, unless the yield is thrown
            toys = expected == n
            terms = np.stack([per_event(self._log_r, s, float(n)) for s in self.n_signal], axis=1)
            t[toys] = 2.0 * (data[toys] @ terms - np.array(self.n_signal))
        return t


def per_event(log_r: Floats, n_signal: float, expected: float) -> Floats:
    """Return log(1 + N_S / N r) (n,)."""
    terms: Floats = np.logaddexp(0.0, np.log(n_signal / expected) + log_r)
    return terms
