"""What a power study asks of a test: its statistics of toys that are named by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unseen.search import PseudoData

__all__ = ["Candidate", "KernelCandidate"]

Floats = NDArray[np.float64]


class Candidate(Protocol):
    """A fitted test with the events that its toys are made of; can be sent to other processes."""

    @property
    def columns(self) -> int:
        """Number of parts that are computed separately."""

    def statistics(
        self, column: int, n_toys: int, seed: int, signal: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        """Return the statistics (n_toys, k) of toys with `n_signal` events of `signal` and `n_data` of background.

        Depends on the arguments alone, not on earlier calls, threads or the machine's load.
        """


@dataclass(frozen=True)
class KernelCandidate:
    """The kernel test; one column for each width."""

    pseudo_data: PseudoData

    @property
    def columns(self) -> int:
        """Number of widths."""
        return self.pseudo_data.n_maps

    def statistics(
        self, column: int, n_toys: int, seed: int, signal: str | None, n_signal: int, n_data: int | None
    ) -> Floats:
        """Return t (n_toys, 1) at one width."""
        t = self.pseudo_data.statistics(column, n_toys, seed, signal, n_signal, n_data)
        return t[:, None]
