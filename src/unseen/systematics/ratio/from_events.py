"""Samples for a ratio from events: distort, select, embed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.events import Events
from unseen.events.selection import passes, remove_objects
from unseen.seeds import small_seed
from unseen.systematics.nuisance_set import NuisanceSet
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.samples import Block, RatioSamples

__all__ = ["Embed", "ratio_samples"]

Embed = Callable[[Events], ArrayLike]  # selected events -> z (n, d), e.g. Model.embed
Rows = NDArray[np.int64]


def ratio_samples(
    events: Events,
    nuisances: NuisanceSet,
    embed: Embed,
    nus: Sequence[ArrayLike] | Floats,
    *,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> RatioSamples:
    """z of nominal events and of the same ones at every nu, each distorted before the selection of its schema.

    * events: nominal, as stored: looser than the selection, so that events can come in too
    * nus: one block for each (see `propose`), nu (k,) for all events or (n, k), another one for each
    * seed: of the random parts of distortions, other ones in every block, so that a ratio learns their average
    * progress: wraps the numbers of the blocks, e.g. a progress bar

    Every event that passes enters with its weight, so the ratio is one of rates.
    Errors: those of `NuisanceSet.distort` and `NuisanceSet.require_unit` (nu is not in standard deviations of the
    priors), NotEnoughEventsError (nothing passes the selection), ShapeError.
    """
    nuisances.require_unit()
    nuisances.check(events)
    values = [_one(i, nu, nuisances.names, len(events)) for i, nu in enumerate(nus)]
    if not values:
        raise NotEnoughEventsError("no values of nu: propose some with unseen.systematics.propose")
    z, weights, rows = _embedded("nominal events", events, embed)
    blocks = []
    for i in progress(range(len(values))):
        nu = values[i]
        distorted = nuisances.distort(events, nu, seed=small_seed(seed, "ratio", "distort", i))
        moved, factor, kept = _embedded(f"events at nu = {nu.tolist() if nu.ndim == 1 else '(n, k)'}", distorted, embed)
        blocks.append(
            Block(nu, moved, factor, kept) if nu.ndim == 1 else Block(nu[kept], moved, factor, kept, nu[rows])
        )
    return RatioSamples.of(z, blocks, nuisances.names, weights, rows)


def _one(index: int, nu: ArrayLike, names: tuple[str, ...], n: int) -> Floats:
    values = checks.as_nu(f"nus[{index}]", nu, names, n)
    return values[0] if np.ndim(nu) == 1 else values


def _embedded(what: str, events: Events, embed: Embed) -> tuple[Floats, Floats, Rows]:
    """z, weights and rows of the events that pass the selection of their schema."""
    cleaned = remove_objects(events, events.schema.selection.objects)
    rows = np.flatnonzero(passes(cleaned, events.schema.selection))
    if len(rows) == 0:
        raise NotEnoughEventsError(f"none of {len(events)} {what} passes the selection of '{events.schema.name}'")
    z = checks.as_z(f"embedded {what}", embed(cleaned[rows]))
    if len(z) != len(rows):
        raise ShapeError(f"embed gave {len(z)} rows for {len(rows)} events; expected one for each")
    return z, events.weight[rows], rows
