"""Maximum-likelihood nu of many samples at once, from sums over their events.

The extended likelihood of one sample, with auxiliary measurements a of nu (spec of the search, section 5),

    -log L(nu) = N sum_R p exp(log r(z; nu)) - sum_D log r(z; nu) + |nu - a|^2 / 2,    log r = psi(z) . m(nu),

knows the data by sum_D psi alone. Steps are those of Newton's method with the second moment of psi at nu = 0, halved
where they go up: all samples share one matrix, and an iteration is two matrix products over the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.errors import ConvergenceError
from unseen.search.profile_nuisances import Nuisances
from unseen.search.validate import Floats

__all__ = ["NuFits", "fit_nu"]

STEPS, HALVINGS = 200, 30
TOLERANCE = 1e-3  # of nu in its own standard deviations: pulls are judged to a tenth
ROWS = 1024  # reference events at a time: of 1,000 samples they stay in the cache


@dataclass(frozen=True)
class NuFits:
    """`nu` (T, k) that maximise the likelihood, and its `covariance` (T, k, k) from the curvature there."""

    nu: Floats
    covariance: Floats

    @property
    def error(self) -> Floats:
        """Standard deviations (T, k)."""
        error: Floats = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        return error


@dataclass(frozen=True)
class _Likelihood:
    """`psi` (n, p) and shares (n,) times N of the reference, sums of psi over data (T, p), and measurements (T, k)."""

    nuisances: Nuisances
    psi: Tensor
    rate: Tensor
    data: Tensor
    auxiliary: Tensor

    def pick(self, at: Tensor) -> _Likelihood:
        return _Likelihood(self.nuisances, self.psi, self.rate, self.data[at], self.auxiliary[at])

    def value(self, nu: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log L (T,) and its gradient (T, k) at nu (T, k)."""
        m = self.nuisances.monomials(nu)
        total, mean = torch.zeros(len(nu), dtype=nu.dtype), torch.zeros_like(m)
        for rows in self._blocks():
            expected = torch.exp(m @ self.psi[rows].T) * self.rate[rows]
            total += expected.sum(1)
            mean += expected @ self.psi[rows]
        off = nu - self.auxiliary
        slope = torch.einsum("tp,tpk->tk", mean - self.data, self.nuisances.jacobian(nu)) + off
        return total - (self.data * m).sum(1) + 0.5 * off.square().sum(1), slope

    def _blocks(self) -> list[slice]:
        return [slice(start, start + ROWS) for start in range(0, len(self.psi), ROWS)]

    def hessian(self, nu: Tensor) -> Tensor:
        """Return the second derivatives of -log L (T, k, k)."""
        m, j = self.nuisances.monomials(nu), self.nuisances.jacobian(nu)
        p = self.psi.shape[1]
        i, o = torch.triu_indices(p, p)
        mean, second = torch.zeros_like(m), torch.zeros(len(nu), len(i), dtype=nu.dtype)
        for rows in self._blocks():
            psi = self.psi[rows]
            expected = torch.exp(m @ psi.T) * self.rate[rows]
            mean += expected @ psi
            second += expected @ (psi[:, i] * psi[:, o])
        full = torch.zeros(len(nu), p, p, dtype=nu.dtype)
        full[:, i, o] = second
        full[:, o, i] = second
        unit = torch.eye(nu.shape[1], dtype=nu.dtype)
        return torch.einsum("tpk,tpq,tql->tkl", j, full, j) + self.nuisances.curvature(mean - self.data) + unit


def fit_nu(
    nuisances: Nuisances, psi: Floats, shares: Floats, expected: float, data: Floats, auxiliary: Floats
) -> NuFits:
    """Return the fits of T samples with sums `data` (T, p) of psi and auxiliary measurements (T, k).

    The reference has `psi` (n, p) and `shares` (n,) that sum to 1; N is `expected`. Raises ConvergenceError.
    """
    tensors = (psi, shares * expected, data, auxiliary)
    likelihood = _Likelihood(nuisances, *(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)) for x in tensors))
    moment = (likelihood.psi * likelihood.rate[:, None]).T @ likelihood.psi
    nu = _minimum(likelihood, moment, likelihood.auxiliary.clone())
    hessian = likelihood.hessian(nu)
    if not bool((torch.linalg.eigvalsh(hessian)[:, 0] > 0).all()):
        raise ConvergenceError(
            "the likelihood of nu has a saddle where its slope vanishes: log r is too far from linear for these "
            "samples; fit the ratio in a wider range"
        )
    return NuFits(nu.numpy(), torch.linalg.inv(hessian).numpy())


def _minimum(likelihood: _Likelihood, moment: Tensor, nu: Tensor) -> Tensor:
    """Return nu (T, k) where the slope vanishes, from `nu`."""
    value, slope = likelihood.value(nu)
    active, unit = torch.arange(len(nu)), torch.eye(nu.shape[1], dtype=nu.dtype)
    for _ in range(STEPS):
        j = likelihood.nuisances.jacobian(nu[active])
        stiff = torch.einsum("tpk,pq,tql->tkl", j, moment, j) + unit
        step = torch.linalg.solve(stiff, slope[active])
        size = torch.einsum("tk,tkl,tl->t", step, stiff, step).sqrt()
        moving = size > TOLERANCE
        active, step, size = active[moving], step[moving], size[moving]
        if not len(active):
            return nu
        scale, waiting = torch.ones(len(active), dtype=nu.dtype), torch.arange(len(active))
        for _ in range(HALVINGS):
            at = active[waiting]
            trial = nu[at] - scale[waiting, None] * step[waiting]
            found, gradient = likelihood.pick(at).value(trial)
            lower = found <= value[at] + 1e-9 * value[at].abs()
            done = at[lower]
            nu[done], value[done], slope[done] = trial[lower], found[lower], gradient[lower]
            waiting = waiting[~lower]
            scale[waiting] *= 0.5
            if not len(waiting):
                break
    raise ConvergenceError(
        f"{len(active)} fits of nu did not reach their minimum in {STEPS} steps; is log r finite and per standard unit?"
    )
