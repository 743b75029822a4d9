"""Particles of many events as flat columns: what generation, re-decay and overlay pass on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import MissingExtraError

__all__ = ["INVISIBLE", "Particles", "ragged_indices"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Neutrinos, and the neutral states of the built-in signals that leave no trace.
INVISIBLE = (12, 14, 16, 18, 1000022)


@dataclass(frozen=True)
class Particles:
    """n events of final-state particles: event i owns rows offsets[i]:offsets[i + 1].

    id int32 (N,) PDG codes; p float64 (N, 4) as (px, py, pz, e) in GeV; offsets int64 (n + 1,).
    """

    offsets: Int
    id: NDArray[np.int32]
    p: Float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Int:
        """Particles per event, (n,)."""
        return np.diff(self.offsets)

    @property
    def event(self) -> Int:
        """Event index of every particle, (N,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, events: Int) -> Particles:
        """The events at these indices, in that order; an index may repeat."""
        counts = self.counts[events]
        rows = ragged_indices(self.offsets[:-1][events], counts)
        return Particles(np.concatenate([[0], np.cumsum(counts)]), self.id[rows], self.p[rows])

    def where(self, keep: NDArray[np.bool_]) -> Particles:
        """The same events with only the particles of a mask (N,)."""
        counts = np.bincount(self.event[keep], minlength=len(self))
        return Particles(np.concatenate([[0], np.cumsum(counts)]), self.id[keep], self.p[keep])

    def merge(self, other: Particles) -> Particles:
        """Event by event, the particles of both."""
        event = np.concatenate([self.event, other.event])
        order = np.argsort(event, kind="stable")
        return Particles(
            self.offsets + other.offsets,
            np.concatenate([self.id, other.id])[order],
            np.concatenate([self.p, other.p])[order],
        )

    @classmethod
    def concatenate(cls, parts: list[Particles]) -> Particles:
        """The events of all parts, one after the other."""
        counts = np.concatenate([part.counts for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(counts)]),
            np.concatenate([part.id for part in parts]),
            np.concatenate([part.p for part in parts]),
        )

    @classmethod
    def group(cls, event: Int, identity: NDArray[np.int32], p: Float, n_events: int) -> Particles:
        """From rows in any order with their event index."""
        order = np.argsort(event, kind="stable")
        counts = np.bincount(event, minlength=n_events)
        return cls(np.concatenate([[0], np.cumsum(counts)]), identity[order], p[order])

    def to_awkward(self) -> Any:
        """(n, var) records with fields id, px, py, pz, e: what the detector takes. Errors: MissingExtraError."""
        try:
            import awkward as ak
        except ImportError as error:
            raise MissingExtraError("simulation needs awkward: pip install 'unseen[hep]'") from error
        columns = [self.id, *np.ascontiguousarray(self.p.T)]
        record = ak.contents.RecordArray([ak.contents.NumpyArray(c) for c in columns], ["id", "px", "py", "pz", "e"])
        return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(self.offsets), record))


def ragged_indices(starts: Int, counts: Int) -> Int:
    """Concatenation of the ranges starts[i] .. starts[i] + counts[i]."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    return np.arange(total) - np.repeat(ends - counts, counts) + np.repeat(starts, counts)
