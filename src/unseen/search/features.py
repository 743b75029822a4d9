"""Whitened Gaussian-kernel features phi(x) with centres, widths and scales that are frozen before data are seen.

With K_MM = U S U' the kernel matrix of the centres, phi(x) = S^(-1/2) U' k(x, centres), so that |f|^2 in the kernel's
function space is |b|^2 for f(x) = b . phi(x) (Nystrom features, arXiv:2204.02317; whitening in spec section 2).
Everything is float64 and computed in row blocks of one constant size: results do not depend on the memory budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from torch import Tensor

from unseen.errors import ConfigError, MemoryBudgetError, NotEnoughEventsError
from unseen.search.validate import Floats, check_positive

__all__ = [
    "AUTO_PERCENTILES",
    "FeatureMap",
    "Features",
    "Scale",
    "Widths",
    "choose_widths",
    "gaussian_kernel",
    "make_map",
    "parse_widths",
]

AUTO_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
PAIRED_EVENTS = 2000  # events whose pairwise distances fix the automatic widths
ROWS_PER_BLOCK = 4096
BYTES = 8
Widths = str | float | Sequence[float]


@dataclass(frozen=True)
class Scale:
    """Standardisation (x - mean) / std with the settings events' moments; a constant feature keeps scale 1."""

    mean: Floats
    std: Floats
    constant: int = 0

    @classmethod
    def measure(cls, x: Floats, weights: Floats) -> Scale:
        """Return the weighted moments of `x` (n, d)."""
        mean = np.average(x, axis=0, weights=weights)
        std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
        flat = std <= 1e-12 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(flat, 1.0, std), int(flat.sum()))

    @classmethod
    def identity(cls, n_features: int) -> Scale:
        """Return the scale that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def __call__(self, x: Floats) -> Floats:
        """Return standardised events (n, d)."""
        return np.ascontiguousarray((x - self.mean) / self.std)


def parse_widths(widths: Widths) -> str | tuple[float, ...]:
    """Return "auto" or the widths asked for as floats; raise ConfigError for anything else."""
    if isinstance(widths, str):
        if widths != "auto":
            raise ConfigError(f"widths is '{widths}'; expected 'auto', a number or a list of numbers")
        return widths
    values = [widths] if np.ndim(widths) == 0 else list(cast(Sequence[float], widths))
    if not values:
        raise ConfigError("widths is empty; give at least one, or 'auto'")
    return tuple(check_positive("widths", value) for value in values)


def choose_widths(widths: Widths, z: Floats, rng: np.random.Generator) -> tuple[float, ...]:
    """Return kernel widths: as given, or percentiles of the pairwise distances of the settings events `z` (n, d)."""
    values = parse_widths(widths)
    return _percentile_widths(z, rng) if isinstance(values, str) else values


def _percentile_widths(z: Floats, rng: np.random.Generator) -> tuple[float, ...]:
    """Return the AUTO_PERCENTILES of the pairwise distances that are not zero."""
    if len(z) > PAIRED_EVENTS:
        z = z[rng.choice(len(z), PAIRED_EVENTS, replace=False)]
    distances = pdist(z)  # exactly zero for equal events
    distances = distances[distances > 0.0]
    if len(distances) == 0:
        raise NotEnoughEventsError(f"{len(z)} settings events have no two distinct values; no width can be chosen")
    return tuple(float(v) for v in np.percentile(distances, AUTO_PERCENTILES))


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2 (n, m), from products of offsets from the mean of y: features far from zero cancel."""
    origin = y.mean(0)
    x, y = x - origin, y - origin
    product = torch.addmm(x.square().sum(1, keepdim=True), x, y.T, alpha=-2.0)
    return product.add_(y.square().sum(1)).clamp_(min=0.0)


def gaussian_kernel(x: Tensor, centers: Tensor, sigma: float) -> Tensor:
    """Return k(x, c) = exp(-|x - c|^2 / (2 sigma^2)), shape (n, M)."""
    return _squared_distances(x, centers).mul_(-0.5 / sigma**2).exp_()


@dataclass(frozen=True)
class FeatureMap:
    """phi(x) = V' k(x, centers) for one width; `projection` V is (M, r)."""

    centers: Tensor
    sigma: float
    projection: Tensor

    @property
    def rank(self) -> int:
        """Number r of kept directions."""
        return int(self.projection.shape[1])

    def __call__(self, z: Tensor) -> Tensor:
        """Return phi (n, r) of standardised events (n, d)."""
        return gaussian_kernel(z, self.centers, self.sigma) @ self.projection


def make_map(centers: Floats, sigma: float, penalty: float, cut: float) -> FeatureMap:
    """Whiten K_MM and keep eigenvalues above cut * lambda * M, never below its rounding error (spec section 2)."""
    c = torch.from_numpy(np.ascontiguousarray(centers))
    m = len(centers)
    values, vectors = torch.linalg.eigh(gaussian_kernel(c, c, sigma))
    rounding = m * float(values[-1]) * np.finfo(np.float64).eps
    kept = values > max(cut * penalty * m, rounding)
    projection = vectors[:, kept] / values[kept].sqrt()
    return FeatureMap(c, float(sigma), projection.contiguous())


class Features:
    """Features of a set of events, held in memory when they fit and recomputed block by block when they do not.

    `intercept` adds a last column of ones (the free normalisation). Only products with them are offered, so a caller
    never needs the whole matrix.
    """

    def __init__(self, feature_map: FeatureMap, z: Floats, *, intercept: bool, budget: float) -> None:
        self.map = feature_map
        self.z = torch.from_numpy(np.ascontiguousarray(z))
        self.intercept = intercept
        self.budget = budget
        self.blocks: list[Tensor] | None = None
        self._hold_if_it_fits()

    def _hold_if_it_fits(self) -> None:
        """Compute all blocks now if they fit in the budget; raise MemoryBudgetError if not even one does."""
        scratch = BYTES * min(len(self.z), ROWS_PER_BLOCK) * (len(self.map.centers) + self.rank)
        budget = self.budget
        if scratch > budget:
            raise MemoryBudgetError(
                f"one block of kernel features needs {scratch / 2**20:.0f} MiB of {budget / 2**20:.0f} MiB allowed; "
                "raise memory_budget or lower n_centers"
            )
        if BYTES * len(self.z) * self.rank + scratch <= budget:
            self.blocks = [self._compute(rows) for rows in self._slices()]

    @property
    def rank(self) -> int:
        """Number of columns, the intercept included."""
        return self.map.rank + int(self.intercept)

    def __len__(self) -> int:
        return len(self.z)

    def _slices(self) -> list[slice]:
        return [slice(start, start + ROWS_PER_BLOCK) for start in range(0, len(self.z), ROWS_PER_BLOCK)]

    def _compute(self, rows: slice) -> Tensor:
        phi = self.map(self.z[rows])
        if self.intercept:
            phi = torch.cat([phi, torch.ones(len(phi), 1, dtype=phi.dtype)], dim=1)
        return phi

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (rows, phi of these rows)."""
        for i, rows in enumerate(self._slices()):
            yield rows, self.blocks[i] if self.blocks is not None else self._compute(rows)

    def project(self, b: Tensor) -> Tensor:
        """Return phi @ b, shape (n, T), for b (r, T)."""
        return torch.cat([phi @ b for _, phi in self])

    def gather_sum(self, v: Tensor) -> Tensor:
        """Return phi' @ v, shape (r, T), for v (n, T)."""
        total = torch.zeros(self.rank, v.shape[1], dtype=v.dtype)
        for rows, phi in self:
            total.addmm_(phi.T, v[rows])
        return total

    def second_moment(self, weights: Tensor) -> Tensor:
        """Return sum_i w_i phi_i phi_i', shape (r, r)."""
        total = torch.zeros(self.rank, self.rank, dtype=weights.dtype)
        for rows, phi in self:
            total.addmm_(phi.T, phi * weights[rows, None])
        return total

    def take(self, index: NDArray[np.int64]) -> Features:
        """Return the features of the events `index`; held in memory only if these ones are."""
        part = object.__new__(Features)
        part.map, part.intercept, part.budget = self.map, self.intercept, self.budget
        at = torch.from_numpy(index)
        part.z, part.blocks = self.z[at], None
        if self.blocks is not None:
            block, row = at // ROWS_PER_BLOCK, at % ROWS_PER_BLOCK
            phi = torch.empty(len(at), self.rank, dtype=self.z.dtype)
            for i, source in enumerate(self.blocks):
                here = block == i
                phi[here] = source[row[here]]
            part.blocks = list(torch.split(phi, ROWS_PER_BLOCK))
        else:
            part._hold_if_it_fits()
        return part

    def join(self, other: Features) -> Features:
        """Return these features followed by those of `other` (same map)."""
        both = object.__new__(Features)
        both.map, both.intercept, both.budget = self.map, self.intercept, self.budget
        both.z, both.blocks = torch.cat([self.z, other.z]), None
        if self.blocks is not None and other.blocks is not None:
            both.blocks = list(torch.split(torch.cat([*self.blocks, *other.blocks]), ROWS_PER_BLOCK))
        return both
