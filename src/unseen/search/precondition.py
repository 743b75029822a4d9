"""The approximate inverse Hessians that start the solver: one for all fits, and one that knows each fit's data.

`Shared` is the chord matrix H0 = N C / 2 + n lambda I of spec section 2. Where kernels are narrow, single data events
carry them and H0 is far from a fit's own Hessian. `WithData` keeps the reference's half of H0 and adds the fit's own
data events, H = N C / 4 + n lambda I + sum_D phi phi' / 4, inverted by Woodbury's identity in the basis where the
shared part is the unit matrix: a third of the passes at narrow widths. It only guides the iteration, so float32 is
enough: the solver gives up on a direction that is not one of descent, and never takes it for convergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from unseen.search.definite import IndefiniteError, cholesky
from unseen.search.features import Features

__all__ = ["DataWhitener", "Preconditioner", "Shared", "WithData", "WithInverse"]

SMALLEST_RANK = 250  # below this the shared matrix does well enough
LARGEST_DATA = 4000  # above this kernels hold many events each, and Woodbury's matrix is large


class Preconditioner(Protocol):
    """An approximate inverse Hessian for every fit of a batch."""

    def solve(self, g: Tensor) -> Tensor:
        """Return H^-1 g (T, r), for g (T, r)."""
        ...

    def keep(self, at: Tensor) -> Preconditioner:
        """Return the preconditioner of the fits `at` alone."""
        ...


@dataclass(frozen=True)
class Shared:
    """One matrix for all fits; `factor` is its lower Cholesky factor (r, r)."""

    factor: Tensor

    def solve(self, g: Tensor) -> Tensor:
        """Return H0^-1 g."""
        result: Tensor = torch.cholesky_solve(g.T, self.factor).T
        return result

    def keep(self, at: Tensor) -> Shared:
        """Return itself."""
        return self


@dataclass(frozen=True)
class WithData:
    """L L' is the shared part and its inverse is corrected by V' V, with V (T, D, r) float32.

    With Z = L^-1 phi(D) / 2 and C C' = 1 + Z Z', Woodbury's identity reads (1 + Z' Z)^-1 = 1 - V' V, V = C^-1 Z.
    """

    factor: Tensor
    v: Tensor

    @classmethod
    def build(cls, factor: Tensor, z: Tensor) -> WithData:
        """Return the preconditioner of fits with z (T, D, r), padded with zeros where a fit has fewer events."""
        inner = torch.bmm(z, z.transpose(1, 2))
        inner.diagonal(dim1=1, dim2=2).add_(1.0)
        return cls(factor, torch.linalg.solve_triangular(cholesky(inner), z, upper=False))

    def solve(self, g: Tensor) -> Tensor:
        """Return (L L' + sum_D phi phi' / 4)^-1 g."""
        q = torch.linalg.solve_triangular(self.factor, g.T, upper=False)
        along_v = torch.bmm(self.v, q.T.float().unsqueeze(2))
        correction = torch.bmm(self.v.transpose(1, 2), along_v)[:, :, 0].T.double()
        result: Tensor = torch.linalg.solve_triangular(self.factor.T, q - correction, upper=True).T
        return result

    def keep(self, at: Tensor) -> WithData:
        """Return the preconditioner of the fits `at` alone."""
        return WithData(self.factor, self.v[at])


@dataclass(frozen=True)
class WithInverse:
    """The same matrix with its inverse in the shared part's basis at hand, (1 + Z' Z)^-1 (T, r, r) float32.

    One product of r^2 numbers for each fit where `WithData` has two of D r: chosen for fits of at least r events.
    """

    factor: Tensor
    inverse: Tensor

    @classmethod
    def build(cls, factor: Tensor, z: Tensor) -> WithInverse:
        """Return the preconditioner of fits with z (T, D, r), padded with zeros where a fit has fewer events."""
        inner = torch.bmm(z.transpose(1, 2), z)
        inner.diagonal(dim1=1, dim2=2).add_(1.0)
        return cls(factor, torch.cholesky_inverse(cholesky(inner)))

    def solve(self, g: Tensor) -> Tensor:
        """Return (L L' + sum_D phi phi' / 4)^-1 g."""
        q = torch.linalg.solve_triangular(self.factor, g.T, upper=False)
        q = torch.bmm(self.inverse, q.T.float().unsqueeze(2))[:, :, 0].T.double()
        result: Tensor = torch.linalg.solve_triangular(self.factor.T, q, upper=True).T
        return result

    def keep(self, at: Tensor) -> WithInverse:
        """Return the preconditioner of the fits `at` alone."""
        return WithInverse(self.factor, self.inverse[at])


class DataWhitener:
    """Builds `WithData` for toys of one union of events: L^-1 phi / 2 of all its events, computed once."""

    def __init__(self, union: Features, factor: Tensor) -> None:
        self.factor = factor
        solve = torch.linalg.solve_triangular
        parts = [solve(factor, phi.T.double(), upper=False).T.float().mul_(0.5) for _, phi in union]
        padding = torch.zeros(1, union.rank, device=factor.device)  # the last row stands for no event
        self.rows = torch.cat([*parts, padding])

    @staticmethod
    def pays(union: Features, largest_n_data: int) -> bool:
        """Return whether the widths and numbers of events are those where this is faster, and memory allows it."""
        small = 2.0 * union.held_bytes <= union.compute.budget
        return union.rank >= SMALLEST_RANK and largest_n_data <= LARGEST_DATA and union.held and small

    def __call__(self, code: Tensor) -> Preconditioner:
        """Return the preconditioner of fits whose data are the rows of the union where `code` (T, m) is -1."""
        draws = [(row < 0).nonzero()[:, 0] for row in code]
        longest = max(len(d) for d in draws)
        index = torch.full((len(draws), longest), len(self.rows) - 1, device=self.rows.device)
        for i, rows in enumerate(draws):
            index[i, : len(rows)] = rows
        z = self.rows[index]
        kind = WithInverse if z.shape[2] <= longest else WithData
        try:
            return kind.build(self.factor, z)
        except IndefiniteError:
            return Shared(self.factor)  # at tiny penalties float32 cannot hold the range of curvatures
