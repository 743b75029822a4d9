"""What a ratio is learned from: z of nominal events, and of the same events at many nu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import ConfigError, NotEnoughEventsError, ShapeError
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.monomials import Floats

__all__ = ["Block", "RatioSamples"]


@dataclass(frozen=True, eq=False)
class Block:
    """Events z (n, d) at nu, (k,) for all or (n, k), with weights (n,), ones unless given.

    `event` (n,): which generated event each row is; equal numbers in the nominal sample and in other blocks mean the
    same event. With nu (n, k), `nominal_nu` (n_nominal, k) pairs the nominal events with values drawn in the same way,
    before any selection.
    """

    nu: ArrayLike
    z: ArrayLike
    weights: ArrayLike | None = None
    event: ArrayLike | None = None
    nominal_nu: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class RatioSamples:
    """Nominal events z (n, d) with weights, and the blocks of events at nu: the same generated events, or as many.

    A ratio of rates needs the sum of weights before the selection to be the same in the nominal sample and in every
    block. `of` checks and converts. Errors: ShapeError, NonFiniteError, WeightError, NegativeWeightError,
    NotEnoughEventsError.
    """

    z: Floats
    blocks: tuple[Block, ...]
    weights: Floats = field(default_factory=lambda: np.empty(0))
    event: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        z: ArrayLike,
        blocks: Sequence[Block | tuple[ArrayLike, ...]],
        names: Sequence[str],
        weights: ArrayLike | None = None,
        event: ArrayLike | None = None,
    ) -> RatioSamples:
        """Check and convert; a block may be a tuple (nu, z) or (nu, z, weights)."""
        nominal = checks.as_z("the nominal sample", z)
        if not blocks:
            raise NotEnoughEventsError("no events at nu: a ratio is learned from at least one block (nu, z)")
        made = tuple(
            _checked(i, each if isinstance(each, Block) else Block(*each), nominal, checks.checked_names(names))
            for i, each in enumerate(blocks)
        )
        return cls(
            nominal,
            made,
            checks.as_weights("the nominal sample", weights, len(nominal)),
            _events("the nominal sample", event, len(nominal)),
        )

    @property
    def nu(self) -> list[Floats]:
        """Values of nu of every block, (1, k) or (n, k)."""
        return [np.atleast_2d(np.asarray(block.nu, dtype=np.float64)) for block in self.blocks]

    @property
    def pool(self) -> list[Floats]:
        """z of the nominal sample and of every block."""
        return [self.z, *(np.asarray(block.z) for block in self.blocks)]

    @property
    def matched(self) -> bool:
        """Whether it is known which rows are the same event."""
        return self.event is not None and all(block.event is not None for block in self.blocks)

    def split(self, share: float, rng: np.random.Generator) -> tuple[RatioSamples, RatioSamples]:
        """Two disjoint samples, the second with this share of the events; an event is on one side with all its copies.

        Errors: ConfigError (share not in (0, 1)), NotEnoughEventsError (a side without events).
        """
        if not 0.0 < share < 1.0:
            raise ConfigError(f"share is {share}; expected a number between 0 and 1")
        sides = [rng.random(len(self.z)) < share, *(rng.random(len(np.asarray(b.z))) < share for b in self.blocks)]
        if self.matched:
            ids = [np.asarray(self.event), *(np.asarray(block.event) for block in self.blocks)]
            known = np.unique(np.concatenate(ids))
            chosen = rng.random(len(known)) < share
            sides = [chosen[np.searchsorted(known, each)] for each in ids]
        if not all(side.any() and not side.all() for side in sides):
            raise NotEnoughEventsError("too few events to hold some out: give more, or a penalty instead of 'auto'")
        return self.take([~side for side in sides]), self.take(sides)

    def take(self, rows: Sequence[NDArray[np.bool_]]) -> RatioSamples:
        """Some rows, bool, of the nominal sample and of every block."""
        blocks = []
        for block, keep in zip(self.blocks, rows[1:], strict=True):
            parts = {"z": np.asarray(block.z)[keep], "weights": np.asarray(block.weights)[keep]}
            if block.event is not None:
                parts["event"] = np.asarray(block.event)[keep]
            if np.ndim(block.nu) == 2:
                parts |= {"nu": np.asarray(block.nu)[keep], "nominal_nu": np.asarray(block.nominal_nu)[rows[0]]}
            blocks.append(replace(block, **parts))
        event = None if self.event is None else self.event[rows[0]]
        return RatioSamples(self.z[rows[0]], tuple(blocks), self.weights[rows[0]], event)


def _checked(index: int, block: Block, nominal: Floats, names: tuple[str, ...]) -> Block:
    what = f"block {index}"
    z = checks.as_z(what, block.z)
    if z.shape[1] != nominal.shape[1]:
        raise ShapeError(f"{what} has {z.shape[1]} features, the nominal sample has {nominal.shape[1]}")
    weights = checks.as_weights(what, block.weights, len(z))
    nu = checks.as_nu(what, block.nu, names, len(z))
    event = _events(what, block.event, len(z))
    if np.ndim(block.nu) == 1:
        return Block(nu[0], z, weights, event)
    if block.nominal_nu is None:
        raise ShapeError(
            f"{what} has another nu for every event: give nominal_nu, of the nominal events, drawn in the same way "
            "before the selection"
        )
    paired = checks.as_nu(f"nominal_nu of {what}", block.nominal_nu, names, len(nominal))
    return Block(nu, z, weights, event, np.array(np.broadcast_to(paired, (len(nominal), len(names)))))


def _events(what: str, event: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    if event is None:
        return None
    values = np.asarray(event)
    if values.shape != (n,) or not np.issubdtype(values.dtype, np.integer):
        raise ShapeError(f"{what}: event has shape {values.shape} and type {values.dtype}; expected {n} whole numbers")
    return values.astype(np.int64)
