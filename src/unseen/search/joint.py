"""Gaussian draws of the linear statistics of several kernels at once, with the covariance that shared events give.

Each kernel's quadratic form is s' A s = |y|^2 with y = B' s and A = B B'. All y together are one Gaussian vector under
the null; its covariance is measured on simulated events that every kernel sees at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.search.analytic import Spread, Yield
from unseen.search.features import FeatureMap
from unseen.search.parallel import run_parts
from unseen.search.validate import Floats

__all__ = ["JointSpread", "joint_draws", "measure_jointly"]

EVENTS = 100_000  # simulated events behind the joint covariance; its noise adds about r / EVENTS to t's variance
BLOCK = 2048
DRAWS_PER_BLOCK = 4096


@dataclass(frozen=True)
class JointSpread:
    """Moments of y of all kernels for one kind of weights; `ends` are where each kernel's part of y ends."""

    spread: Spread
    ends: tuple[int, ...]


def measure_jointly(maps: tuple[FeatureMap, ...], roots: list[Tensor], z: Floats, weights: Floats) -> JointSpread:
    """Return the moments of y = B' phi (all kernels side by side) over at most EVENTS of the events z with weights."""
    rows = np.flatnonzero(weights)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), EVENTS)).astype(int))]
    device = roots[0].device
    ends = tuple(int(e) for e in np.cumsum([root.shape[1] for root in roots]))
    size = ends[-1] + 1

    def measure(part: range) -> Tensor:
        total = torch.zeros(size, size, dtype=torch.float64, device=device)
        for i in part:
            at = rows[BLOCK * i : BLOCK * (i + 1)]
            events = torch.from_numpy(z[at]).to(device)
            w = torch.from_numpy(weights[at]).to(device, torch.float32)
            ones = torch.ones(len(at), 1, device=device)  # a last column that gathers the means
            parts = [(m.to(device)(events) @ root).float() for m, root in zip(maps, roots, strict=True)]
            y = torch.cat([*parts, ones], dim=1)
            total += y.T @ (y * w[:, None])
        return total

    n_blocks = -(-len(rows) // BLOCK)
    moments = sum(run_parts(measure, n_blocks, threads=None if device.type == "cpu" else 1))
    assert isinstance(moments, Tensor)
    total = float(weights[rows].sum())
    return JointSpread(Spread(moments[:-1, :-1] / total, moments[:-1, -1] / total), ends)


def joint_draws(
    source: JointSpread, redrawn: JointSpread | None, squares: float, mean: Tensor, option: Yield, n: int, seed: int
) -> Floats:
    """Return t (n, kernels) of Gaussian y.

    `redrawn` are the moments of the reference's squared weights, which sum to `squares` (None for a fixed reference);
    `mean` is that of y.
    """
    spread = source.spread
    covariance = option.events * spread.central + option.variance * torch.outer(spread.mean, spread.mean)
    if redrawn is not None:
        covariance = covariance + squares * redrawn.spread.central
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp(min=0.0).sqrt()).T.float()
    rng = np.random.default_rng([seed])
    t = np.empty((n, len(source.ends)))
    for start in range(0, n, DRAWS_PER_BLOCK):
        size = min(DRAWS_PER_BLOCK, n - start)
        noise = torch.from_numpy(rng.standard_normal((size, len(root)), dtype=np.float32)).to(root.device)
        squared = (noise @ root + mean.float()).square_().double()
        sums = torch.nn.functional.pad(squared.cumsum(1), (1, 0))[:, [0, *source.ends]]
        t[start : start + size] = sums.diff(dim=1).cpu().numpy()
    return t
