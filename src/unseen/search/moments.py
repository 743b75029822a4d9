"""Second moments of a large sample on workers: a job takes the blocks of one part, and the sums are added in order.

The parts are those that threads take (`unseen.search.parallel`), and so is the order of every sum: the result is that
of one process to the last bit, whoever does which part and in whatever order they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.search.compute import Compute
from unseen.search.features import FeatureMap, Features, rows_per_block
from unseen.search.parallel import blockwise, parts_of
from unseen.search.runner import Runner
from unseen.search.validate import Floats

__all__ = ["second_moments"]


@dataclass(frozen=True)
class Part:
    """The job of one part: its `blocks` of the events z (n, d) with `weights` (n,). Only their rows are pickled."""

    number: int
    blocks: range
    rows: int
    z: Floats = field(repr=False)
    weights: Floats = field(repr=False)

    def own(self, values: Floats) -> Floats:
        """Return the part's own rows of `values`."""
        found: Floats = np.concatenate([values[i * self.rows : (i + 1) * self.rows] for i in self.blocks])
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the part as one whose own blocks are all that there are."""
        own = {"z": self.own(self.z), "weights": self.own(self.weights)}
        return {"number": self.number, "blocks": range(len(self.blocks)), "rows": self.rows} | own


@dataclass(frozen=True)
class Measures:
    """What all parts share."""

    maps: tuple[FeatureMap, ...]
    compute: Compute
    intercept: bool


def second_moments(
    maps: Sequence[FeatureMap], z: Floats, weights: Floats, compute: Compute, intercept: bool, runner: Runner
) -> list[Tensor]:
    """Return sum_i w_i phi_i phi_i', float64 (r, r), of every map, for events z (n, d) with weights (n,).

    The same bits as `Features.second_moment`.
    """
    rows = rows_per_block(compute)
    jobs = [Part(i, blocks, rows, z, weights) for i, blocks in enumerate(parts_of(-(-len(z) // rows)))]
    totals: list[Tensor] = []
    early: dict[int, list[Floats]] = {}
    taken = 0

    def finished(part: Part, found: list[Floats]) -> None:
        nonlocal taken
        early[part.number] = found
        while taken in early:  # sums that come out of turn wait: the order of additions is fixed
            sums = [torch.from_numpy(values) for values in early.pop(taken)]
            totals[:] = [a + b for a, b in zip(totals, sums, strict=True)] if taken else sums
            taken += 1

    runner.run(moments_of_part, jobs, finished, shared=Measures(tuple(maps), compute, intercept))
    return [total.to(compute.device) for total in totals]


def moments_of_part(part: Part, shared: Measures) -> list[NDArray[np.float64]]:
    """Return a part's second moment (r, r) of every map; runs inside a worker."""
    z, weights = part.own(part.z), torch.from_numpy(part.own(part.weights))
    found = []
    with blockwise():
        for feature_map in shared.maps:
            # No more memory than one block needs: every block is used once.
            one = 8.0 * min(part.rows, len(z)) * (len(feature_map.centers) + feature_map.rank + int(shared.intercept))
            phi = Features(feature_map, z, replace(shared.compute, budget=one), intercept=shared.intercept)
            on_device = weights.to(shared.compute.device, shared.compute.dtype)
            found.append(phi.second_moment(on_device, range(len(phi.z))).cpu().numpy())
    return found
