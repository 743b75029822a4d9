"""Whitened Gaussian-kernel features phi(x) with centres, widths and scales that are frozen before data are seen.

With K_MM = U S U' the kernel matrix of the centres, phi(x) = S^(-1/2) U' k(x, centres), so that |f|^2 in the kernel's
function space is |b|^2 for f(x) = b . phi(x) (Nystrom features, arXiv:2204.02317; whitening in spec section 2).
Kernel and projection are float64; the features are then stored in the precision of `Compute`. They are computed in row
blocks of one constant size: results do not depend on the memory budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.errors import MemoryBudgetError
from unseen.search.compute import Compute
from unseen.search.parallel import run_parts
from unseen.search.validate import Floats

__all__ = ["FeatureMap", "Features", "gaussian_kernel", "make_map", "planned_bytes", "rows_per_block"]

ROWS_PER_BLOCK = 2048  # a block of features and of fits shares a core's cache
ROWS_ON_GPU = 65_536  # fewer and larger operations


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
    """phi(x) = V' k(x, centers) for one width; `projection` V is (M, r), float64.

    `columns` are those of the events that this kernel sees: one embedding among several side by side. The kernel's
    amplitude is in the projection.
    """

    centers: Tensor
    sigma: float
    projection: Tensor
    columns: tuple[int, int]

    @property
    def rank(self) -> int:
        """Number r of kept directions."""
        return int(self.projection.shape[1])

    def __call__(self, z: Tensor) -> Tensor:
        """Return phi (n, r) of standardised events (n, d)."""
        return gaussian_kernel(z[:, self.columns[0] : self.columns[1]], self.centers, self.sigma) @ self.projection

    def rotate(self, rotation: Tensor) -> FeatureMap:
        """Return the map to the directions `rotation` (r, s) of this one, orthonormal columns."""
        return replace(self, projection=(self.projection @ rotation).contiguous())

    def to(self, device: torch.device) -> FeatureMap:
        """Return the map on `device`."""
        return replace(self, centers=self.centers.to(device), projection=self.projection.to(device))


def make_map(
    centers: Floats, sigma: float, columns: tuple[int, int] | None = None, amplitude: float = 1.0
) -> FeatureMap:
    """Whiten K_MM of `centers` (M, d), all directions above its rounding error kept.

    The kernel is amplitude^2 k: phi is that of k, times `amplitude`.
    """
    first, last = columns or (0, centers.shape[1])
    c = torch.from_numpy(np.ascontiguousarray(centers[:, first:last]))
    values, vectors = torch.linalg.eigh(gaussian_kernel(c, c, sigma))
    kept = values > len(c) * float(values[-1]) * np.finfo(np.float64).eps
    projection = amplitude * vectors[:, kept] / values[kept].sqrt()
    return FeatureMap(c, float(sigma), projection.contiguous(), (first, last))


class Features:
    """Features of a set of events in blocks of rows: held in memory up to the budget, recomputed when asked for beyond.

    `intercept` adds a last column of ones (normalisations other than known), `beside` (n, p) columns of the events' own
    (nuisance parameters). Callers iterate over the blocks, so none needs the whole matrix.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        z: Floats,
        compute: Compute,
        *,
        intercept: bool = False,
        beside: Floats | None = None,
    ) -> None:
        self.map = feature_map.to(compute.device)
        self.compute = compute
        self.intercept = intercept
        rows = rows_per_block(compute)
        self.z = [torch.from_numpy(part) for part in _split(np.ascontiguousarray(z), rows)]
        columns = np.empty((len(z), 0)) if beside is None else np.ascontiguousarray(beside)
        self.beside = [torch.from_numpy(part).to(compute.device, compute.dtype) for part in _split(columns, rows)]
        self.blocks: list[Tensor | None] = [None] * len(self.z)
        self._hold_what_fits()

    def _hold_what_fits(self) -> None:
        """Compute the first blocks, as many as fit in the budget; raise MemoryBudgetError if not even one does."""
        fitting = _fitting(self.map, [len(part) for part in self.z], self.compute, self.rank)

        def evaluate(part: range) -> None:
            for i in part:
                self.blocks[i] = self._evaluate(i)

        run_parts(evaluate, fitting, threads=self.threads)

    @property
    def rank(self) -> int:
        """Number of columns, the intercept and those beside included."""
        return self.map.rank + int(self.intercept) + self.n_beside

    @property
    def n_beside(self) -> int:
        """Number p of columns beside the kernel's."""
        return int(self.beside[0].shape[1])

    @property
    def held_bytes(self) -> int:
        """Bytes of features in memory."""
        return sum(block.numel() * self.compute.bytes for block in self.blocks if block is not None)

    @property
    def held(self) -> bool:
        """Whether all features are in memory."""
        return all(block is not None for block in self.blocks)

    def __len__(self) -> int:
        return sum(len(part) for part in self.z)

    def _evaluate(self, i: int) -> Tensor:
        phi = self.map(self.z[i].to(self.compute.device)).to(self.compute.dtype)
        if self.intercept:
            phi = torch.cat([phi, torch.ones(len(phi), 1, dtype=phi.dtype, device=phi.device)], dim=1)
        return torch.cat([phi, self.beside[i]], dim=1) if self.n_beside else phi

    @property
    def threads(self) -> int | None:
        """Threads that share the blocks: as many as torch uses on a CPU, one on a GPU."""
        return None if self.compute.device.type == "cpu" else 1

    def accumulate(
        self,
        term: Callable[[slice, Tensor], Tensor],
        combine: Callable[[Tensor, Tensor], Tensor] = torch.add,
        blocks: range | None = None,
        *,
        beside: bool = False,
    ) -> Tensor:
        """Return the sum (or another `combine`) of `term(rows, phi of these rows)` over all blocks, float64.

        Blocks run in several threads; some `blocks` alone in this one, one after the other. `beside` gives `term` the
        columns beside the kernel's alone.
        """
        starts = np.cumsum([0, *(len(part) for part in self.z)]).tolist()

        def add(part: range) -> Tensor | None:
            total: Tensor | None = None
            for i in part:
                phi = self.beside[i] if beside else self._block(i)
                value = term(slice(starts[i], starts[i + 1]), phi).double()
                total = value if total is None else combine(total, value)
            return total

        found = [add(blocks)] if blocks is not None else run_parts(add, len(self.z), threads=self.threads)
        return reduce(combine, [total for total in found if total is not None])

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (rows, phi of these rows)."""
        start = 0
        for i, part in enumerate(self.z):
            yield slice(start, start + len(part)), self._block(i)
            start += len(part)

    def _block(self, i: int) -> Tensor:
        block = self.blocks[i]
        return self._evaluate(i) if block is None else block

    def project(self, b: Tensor) -> Tensor:
        """Return b phi', shape (T, n), for b (T, r)."""
        b = b.to(self.compute.dtype)
        return torch.cat([b @ phi.T for _, phi in self], dim=1)

    def second_moment(self, weights: Tensor, blocks: range | None = None) -> Tensor:
        """Return sum_i w_i phi_i phi_i', float64 (r, r), for weights (n,), over all blocks or some.

        The products have the stored precision, but with an intercept float64: wide kernels hardly differ from it, and
        nothing penalises it.
        """
        dtype = torch.float64 if self.intercept else self.compute.dtype

        def term(rows: slice, phi: Tensor) -> Tensor:
            exact = phi.to(dtype)
            return exact.T @ (exact * weights[rows, None].to(dtype))

        return self.accumulate(term, blocks=blocks)

    def total(self, weights: Tensor) -> Tensor:
        """Return sum_i w_i phi_i, float64 (T, r), for weights (T, n)."""
        return self.accumulate(lambda rows, phi: weights[:, rows].to(phi.dtype) @ phi)

    def take(self, index: NDArray[np.int64]) -> Features:
        """Return the features of the events `index` (sorted): held where these ones are."""
        starts = np.cumsum([0, *(len(part) for part in self.z)])
        at = np.searchsorted(index, starts)
        rows = [torch.from_numpy(index[a:b] - s) for a, b, s in zip(at[:-1], at[1:], starts[:-1], strict=True)]
        used = [i for i, r in enumerate(rows) if len(r)]
        part = self._empty_copy()
        part.z = [self.z[i][rows[i]] for i in used]
        blocks = [self.blocks[i] for i in used]
        part.blocks = [None if b is None else b[rows[i].to(b.device)] for i, b in zip(used, blocks, strict=True)]
        part.beside = [self.beside[i][rows[i].to(self.beside[i].device)] for i in used]
        return part

    def join(self, other: Features) -> Features:
        """Return these features followed by those of `other` (same map); blocks are shared, not copied."""
        both = self._empty_copy()
        both.z, both.blocks = [*self.z, *other.z], [*self.blocks, *other.blocks]
        both.beside = [*self.beside, *other.beside]
        return both

    def _empty_copy(self) -> Features:
        copy = object.__new__(Features)
        copy.map, copy.intercept, copy.compute = self.map, self.intercept, self.compute
        return copy


def rows_per_block(compute: Compute) -> int:
    """Return how many events a block has; the last one may have fewer."""
    return ROWS_PER_BLOCK if compute.device.type == "cpu" else ROWS_ON_GPU


def planned_bytes(feature_map: FeatureMap, n: int, compute: Compute, n_more: int) -> float:
    """Return the `held_bytes` that the features of n events would have with `n_more` columns, without computing any."""
    rank, rows = feature_map.rank + n_more, rows_per_block(compute)
    lengths = [min(rows, n - start) for start in range(0, n, rows)]
    return float(compute.bytes * rank * sum(lengths[: _fitting(feature_map, lengths, compute, rank)]))


def _fitting(feature_map: FeatureMap, lengths: list[int], compute: Compute, rank: int) -> int:
    """Return how many of the blocks, the first ones, fit in the budget; raise MemoryBudgetError if none could."""
    scratch = 8 * max(lengths) * (len(feature_map.centers) + rank)
    free = compute.budget - scratch
    if free < 0:
        raise MemoryBudgetError(
            f"one block of kernel features needs {scratch / 2**20:.0f} MiB of {compute.budget / 2**20:.0f} "
            "MiB allowed; raise memory_budget or lower n_centers"
        )
    sizes = np.array([compute.bytes * length * rank for length in lengths], dtype=np.float64)
    return int(np.count_nonzero(np.cumsum(sizes) <= free))


def _split(z: Floats, rows: int) -> list[Floats]:
    return [z[start : start + rows] for start in range(0, len(z), rows)]
