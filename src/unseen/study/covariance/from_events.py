"""From stored events and a representation to z at nu, and to a density ratio learned from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unseen.events import Events, select
from unseen.search.validate import Floats
from unseen.seeds import generator, small_seed
from unseen.stored import passing
from unseen.study.covariance.moved import At, Moved
from unseen.study.covariance.settings import CovarianceConfig
from unseen.systematics import NuisanceSet
from unseen.systematics.migration import FLAG
from unseen.systematics.ratio import Block, DensityRatio, RatioSamples, fit_kernel_ratio

__all__ = ["Embed", "at_events", "learned_ratio"]

Embed = Callable[[Events], Floats]


def at_events(embed: Embed, nuisances: NuisanceSet, events: Events) -> At:
    """Return the function nu -> `events` there: distorted, selected, embedded. nu (k,), or (n, k) for one per event.

    `events` are nominal and stored, not selected, so that they can migrate.
    Errors: NuisanceError (a prior that is not the unit Gaussian: `NuisanceSet.in_widths`).
    """
    nuisances.require_unit()
    nominal = events.weight * passing(events)

    def at(nu: Floats) -> Moved:
        shifted = nuisances.distort(events, nu)
        kept = np.asarray(shifted.record[FLAG], dtype=np.bool_)
        found = embed(select(shifted))
        z = np.zeros((len(events), found.shape[1]))
        z[kept] = found
        return Moved(np.asarray(nu, dtype=np.float64), z, shifted.weight * kept, nominal)

    return at


def learned_ratio(at: At, n: int, names: tuple[str, ...], config: CovarianceConfig, seed: int) -> DensityRatio:
    """Return a kernel ratio learned from a pool of `n` generated events `at` nu, another one for every event.

    Errors: those of `fit_kernel_ratio`.
    """
    start, event = at(np.zeros(len(names))), np.arange(n)
    here = start.weights > 0
    rng = generator(seed, "study", "proposal")
    blocks = []
    for _ in range(config.copies):
        nu = np.clip(config.proposal * rng.normal(size=(n, len(names))), -config.limit, config.limit)
        there = at(nu)
        kept = there.weights > 0
        blocks.append(Block(nu[kept], there.z[kept], there.weights[kept], event[kept], nu[here]))
    samples = RatioSamples.of(start.z[here], blocks, names, start.weights[here], event[here])
    return fit_kernel_ratio(
        samples, names, n_centers=config.n_centers, rank=config.rank, seed=small_seed(seed, "study", "ratio")
    )
