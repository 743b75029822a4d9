"""A ratio of a mixture of processes: each one's own, and its fraction at z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.density_ratio import DensityRatio
from unseen.systematics.ratio.fit import fit_kernel_ratio
from unseen.systematics.ratio.fractions import KernelFractions
from unseen.systematics.ratio.mixture import MixtureSource
from unseen.systematics.ratio.regression import conditional_means
from unseen.systematics.ratio.samples import RatioSamples

__all__ = ["fit_mixture_ratio"]


def fit_mixture_ratio(
    samples: RatioSamples, process: ArrayLike, names: Sequence[str], *, seed: int = 0, **settings: Any
) -> DensityRatio:
    """The ratio of processes that respond differently, combined to second order in nu (see `MixtureSource`).

    process: of every generated event, whole numbers from 0, looked up by the `event` numbers of the samples; settings:
    those of `fit_kernel_ratio`, for every process alike.
    Errors: ShapeError (samples without event numbers, numbers beyond `process`), NotEnoughEventsError (a process
    without events), and those of `fit_kernel_ratio`.
    """
    names = checks.checked_names(names)
    of = np.asarray(process)
    if samples.event is None or not samples.matched:
        raise ShapeError("samples of processes need the `event` number of every row, to look its process up")
    numbers = [samples.event, *(np.asarray(block.event) for block in samples.blocks)]
    largest = max(int(each.max()) for each in numbers)
    if of.ndim != 1 or not np.issubdtype(of.dtype, np.integer) or len(of) <= largest or of.min() < 0:
        raise ShapeError(
            f"process has shape {of.shape} and type {of.dtype}; expected whole numbers from 0 for events 0 to {largest}"
        )
    own = of[samples.event]
    ratios = []
    for p in range(int(of.max()) + 1):
        rows = [of[each] == p for each in numbers]
        if not all(side.any() for side in rows):
            raise NotEnoughEventsError(f"process {p} has no events in one of the samples; leave it out or merge it")
        ratios.append(fit_kernel_ratio(samples.take(rows), names, seed=seed, **settings))
    shared = {name: value for name, value in settings.items() if name != "penalty"}
    indicator = np.eye(len(ratios))[own]
    fractions = KernelFractions(conditional_means(samples.z, indicator, samples.weights, seed=seed, **shared))
    limits = np.stack([each.limits for each in ratios])
    report = {"kind": "mixture", "parts": [dict(each.report) for each in ratios]}
    source = MixtureSource(tuple(each.source for each in ratios), fractions)
    ranges = np.stack([limits[..., 0].max(axis=0), limits[..., 1].min(axis=0)], axis=1)
    return DensityRatio(names, ranges, source, None, report)
