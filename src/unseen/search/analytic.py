"""The analytic null of the linear statistic (spec section 2 and 3).

t = s' A s with s = sum_D phi - sum_R w phi, a sum of many independent terms. With mean m and covariance S of s under
the null, t is a weighted sum of non-central chi-squared variables, the weights the eigenvalues of S A. Per event of
second moment C and mean mu, with N_D Poisson around N,

    S = N (C - mu mu') + V mu mu' + sum_R w^2 (phi - mu)(phi - mu)',    V = (1 - eta)^2 (N + sigma^2 N^2),

where eta = sigma^2 N / (1 + sigma^2 N) is the part of a yield's fluctuation that the constrained normalisation
absorbs (0 known, 1 free) and sigma^2 N^2 is its thrown auxiliary measurement. The last term is absent when the
reference is held fixed; then m = N mean_P phi - sum_R w phi. With N_D given, N becomes N_D and V is zero.

The sum over few events per kernel is not Gaussian. The fourth cumulant adds N E[(phi' A phi)^2] to the variance of t,
and `variance_excess` is the ratio of that to the Gaussian variance: the part of the check that needs no toys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from unseen.errors import ConfigError
from unseen.search.features import Features
from unseen.search.mixture import log_tail, moments
from unseen.search.normalisation import Normalisation
from unseen.search.statistic import LinearForm
from unseen.search.validate import Floats

__all__ = ["AnalyticNull", "Spread", "Yield", "analytic_null", "fourth_moment", "measure"]

GRID = 500
NEGLIGIBLE = 1e-12  # eigenvalues below this fraction of the largest cannot be told from zero


class QuadraticForm(Protocol):
    """s' A s."""

    def matrix(self) -> Tensor:
        """Return A (r, r), positive definite."""


@dataclass(frozen=True)
class Yield:
    """How N_D and the expectation vary among data sets."""

    normalisation: Normalisation
    expected: float
    n_data: int | None

    @property
    def absorbed(self) -> float:
        """Return eta."""
        if self.normalisation.free:
            return 1.0
        variance = self.normalisation.sigma**2 * self.expected
        return variance / (1.0 + variance)

    @property
    def events(self) -> float:
        """Return the expected N_D."""
        return self.expected if self.n_data is None else float(self.n_data)

    @property
    def variance(self) -> float:
        """Return V."""
        if self.normalisation.free or self.n_data is not None:
            return 0.0
        return (1.0 - self.absorbed) ** 2 * (self.expected + (self.normalisation.sigma * self.expected) ** 2)

    @property
    def offset(self) -> float:
        """Return the coefficient of mu in the mean of s."""
        return (1.0 - self.absorbed) * (self.events - self.expected)


@dataclass(frozen=True)
class Spread:
    """Per-event moments of the features without an intercept: second C (r, r) and mean mu (r,)."""

    second: Tensor
    mean: Tensor

    @property
    def central(self) -> Tensor:
        """C - mu mu'."""
        return self.second - torch.outer(self.mean, self.mean)


def measure(phi: Features, weights: Tensor) -> Spread:
    """Return the moments of events with `weights` (n,)."""
    r = phi.map.rank
    total = weights.double().sum()
    second = phi.second_moment(weights)[:r, :r] / total
    return Spread(second, phi.total(weights[None])[0, :r] / total)


@dataclass(frozen=True)
class AnalyticNull:
    """t = offset + sum_j weights_j (z_j + shifts_j)^2 with z_j unit Gaussians."""

    weights: Floats
    shifts: Floats
    offset: float
    variance_excess: float

    def log_p(self, t: Floats) -> Floats:
        """Return log P(T >= t); many values are interpolated, to about 1e-5 in log p."""
        x = np.asarray(t, dtype=np.float64) - self.offset
        if x.size <= GRID:
            return log_tail(x, self.weights, self.shifts)
        grid = np.linspace(x.min(), x.max(), GRID)
        result: Floats = PchipInterpolator(grid, log_tail(grid, self.weights, self.shifts))(x)
        return result

    @property
    def moments(self) -> tuple[float, float]:
        """Return mean and variance of t."""
        mean, variance = moments(self.weights, self.shifts)
        return mean + self.offset, variance


def analytic_null(form: QuadraticForm, covariance: Tensor, mean: Tensor, excess: float) -> AnalyticNull:
    """Return the null of s' A s for s of this `covariance` (r, r) and `mean` (r,).

    `excess` is N E[(phi' A phi)^2], the fourth cumulant's part of the variance.
    """
    root = torch.linalg.cholesky(form.matrix())
    values, vectors = torch.linalg.eigh(root.T @ covariance @ root)
    if len(values) == 0 or float(values[-1]) <= 0.0:
        raise ConfigError(
            "the statistic does not vary under the null at some width: its kernels see no event; drop the width or "
            "take settings events from where the reference is"
        )
    along = (mean @ root) @ vectors
    kept = values > NEGLIGIBLE * values[-1]
    w = values[kept]
    shifts = along[kept] / w.sqrt()
    return AnalyticNull(
        weights=w.cpu().numpy(),
        shifts=shifts.cpu().numpy(),
        offset=float(along[~kept].square().sum()),
        variance_excess=excess / float(2.0 * w.square().sum()),
    )


def fourth_moment(phi: Features, weights: Tensor, form: LinearForm, center: Tensor) -> float:
    """Return the weighted mean of (psi' A psi)^2 over events, psi = phi - center."""
    root, origin = torch.linalg.cholesky(form.matrix()).to(phi.compute.dtype), center.to(phi.compute.dtype)

    def term(rows: slice, block: Tensor) -> Tensor:
        q = ((block[:, : len(origin)] - origin) @ root).square_().sum(1).double()
        return torch.dot(weights[rows].double(), q.square())

    return float(phi.accumulate(term) / weights.double().sum())
