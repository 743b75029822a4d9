"""The extended likelihood of a batch of fits with nuisance parameters, and its derivatives (spec section 5).

For one fit, with f = b . phi, log r = psi . m(nu) and auxiliary measurements a of nu,

    F(b, nu) = sum_R w (r exp f - 1) - sum_D (f + log r) + n lambda |b|^2 + |nu - a|^2 / 2

so that tau = |a|^2 - 2 min F. Psi stands beside phi among the features, (b, m(nu)) is one vector of coefficients, and a
pass over the events is that of a linear model: two matrix products. The chain rule through m does the rest.

Without the kernel (`kernel` false) F is a function of nu alone, Delta = |a|^2 - 2 min F, and only psi is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unseen.search.loss import LARGEST_F, Batch, played
from unseen.search.newton import Rules
from unseen.search.profile_nuisances import Nuisances

__all__ = ["EXTENDED", "ProfileBatch", "hessian", "redrawn", "value"]


@dataclass(frozen=True)
class ProfileBatch:
    """T fits: what `batch` says of events and weights, and auxiliary measurements `a` (T, K) of `nuisances`."""

    batch: Batch
    nuisances: Nuisances
    a: Tensor
    kernel: bool = True

    def pick(self, at: Tensor) -> ProfileBatch:
        """Return the fits `at` alone, on the same events."""
        return replace(self, batch=self.batch.pick(at), a=self.a[at])

    @property
    def rank(self) -> int:
        """Number r of kernel coefficients, none without the kernel."""
        return self.batch.phi.rank - self.nuisances.n_columns if self.kernel else 0

    @property
    def precision(self) -> Tensor:
        """Inverse variances of the constraints (K,)."""
        return torch.from_numpy(self.nuisances.precision).to(self.a)

    def coefficients(self, x: Tensor) -> Tensor:
        """Return (b, m(nu)) (T, r + p) of x = (b, nu) (T, r + K), in the stored precision."""
        r = self.rank
        return torch.cat([x[:, :r], self.nuisances.monomials(x[:, r:])], dim=1).to(self.batch.weights.dtype)

    def costs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return 2 n lambda b (T, r) and the constraints' slopes (T, K)."""
        r = self.rank
        return 2.0 * self.batch.ridge[:, :r] * x[:, :r], self.precision * (x[:, r:] - self.a)


def _sums(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return sum_R w r exp f (phi, psi) - sum_D (phi, psi), float64 (T, r + p)."""
    c = fits.coefficients(x)

    def term(rows: slice, phi: Tensor) -> Tensor:
        reference, minus_data = played(fits.batch, rows)
        rate = (c @ phi.T).clamp_(max=LARGEST_F).exp_()
        return rate.mul_(reference).add_(minus_data) @ phi

    return fits.batch.phi.accumulate(term, beside=not fits.kernel)


def gradient(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return the gradient of F at x = (b, nu), float64 (T, r + K)."""
    sums, r = _sums(fits, x), fits.rank
    ridge, pull = fits.costs(x)
    along = torch.einsum("tp,tpk->tk", sums[:, r:], fits.nuisances.jacobian(x[:, r:]))
    return torch.cat([sums[:, :r] + ridge, along + pull], dim=1)


def value(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return F (T,) at x = (b, nu) (T, r + K)."""
    c, r = fits.coefficients(x), fits.rank

    def term(rows: slice, phi: Tensor) -> Tensor:
        reference, minus_data = played(fits.batch, rows)
        log_rate = c @ phi.T
        data = minus_data.mul_(log_rate).sum(1)
        return log_rate.clamp_(max=LARGEST_F).expm1_().mul_(reference).sum(1).add_(data)

    ridge, pull = fits.costs(x)
    cost = 0.5 * (ridge * x[:, :r]).sum(1) + 0.5 * (pull * (x[:, r:] - fits.a)).sum(1)
    return fits.batch.phi.accumulate(term, beside=not fits.kernel) + cost


def _chain(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return d(b, m) / d(b, nu) (r + p, r + K) of one fit."""
    r = fits.rank
    j = fits.nuisances.jacobian(x[:, r:])[0]
    chain = torch.zeros(r + len(j), r + j.shape[1], dtype=j.dtype, device=j.device)
    chain[:r, :r] = torch.eye(r)
    chain[r:, r:] = j
    return chain


def information(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return sum_R w r exp f g g' of one fit, g = d(f + log r)/d(b, nu), float64 (r + K, r + K)."""
    c = fits.coefficients(x)

    def term(rows: slice, phi: Tensor) -> Tensor:
        reference, _ = played(fits.batch, rows)
        rate = (c @ phi.T).clamp_(max=LARGEST_F).exp_().mul_(reference)
        exact = phi.double()
        return exact.T @ (exact * rate.T)

    chain = _chain(fits, x)
    result: Tensor = chain.T @ fits.batch.phi.accumulate(term, beside=not fits.kernel) @ chain
    return result


def redrawn(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return the covariance (r + K, r + K) that a redrawn reference, scaled to N, adds to the gradient of one fit.

    It is sum_R w^2 (h - m)(h - m)' with h = r exp f g and m its weighted mean.
    """
    c = fits.coefficients(x)

    def term(rows: slice, phi: Tensor) -> Tensor:
        weights = played(fits.batch, rows)[0].T.double()
        rate = (c @ phi.T).clamp_(max=LARGEST_F).exp_().T
        h = torch.cat([phi.double() * rate, torch.ones_like(weights)], dim=1) * weights
        return torch.cat([h.T @ h, h.sum(0, keepdim=True)])

    found = fits.batch.phi.accumulate(term, beside=not fits.kernel)
    squares, sums = found[:-1], found[-1]
    center = torch.eye(len(squares), dtype=squares.dtype, device=squares.device)[:-1]
    center[:, -1] = -sums[:-1] / sums[-1]
    chain = _chain(fits, x)
    result: Tensor = chain.T @ center @ squares @ center.T @ chain
    return result


def hessian(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return the Hessian of F of a batch of one fit at x (1, r + K), float64 (r + K, r + K)."""
    r = fits.rank
    h = information(fits, x)
    h.diagonal()[:r] += 2.0 * fits.batch.ridge[0, :r]
    h.diagonal()[r:] += fits.precision
    if fits.nuisances.quadratic:
        h[r:, r:] += fits.nuisances.curvature(_sums(fits, x)[:, r:])[0]
    return h


EXTENDED: Rules[ProfileBatch] = Rules(gradient, hessian)
