"""Minimise many penalised logistic losses at once: one factorised Hessian, corrected for each fit as it goes.

The chord iteration b <- b - H0^-1 grad (spec section 2) converges in a few passes where a fit's curvature is that of
the reference, and diverges where single events carry a kernel. So H0^-1 (or a better guess, see `precondition`) starts
a limited-memory BFGS update, each fit with its own corrections, line search and convergence check; a fit that is still
not there gets Newton steps with its own Hessian. All passes over the events are matrix-matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from unseen.search.loss import Batch, gradient, line_search
from unseen.search.newton import damped_newton
from unseen.search.precondition import Preconditioner

__all__ = ["Solution", "minimise"]

TOLERANCE = 1e-6  # on the decrement sqrt(g' H^-1 g): the error on t is about this times 2 sqrt(t)
MAX_PASSES = 300
MEMORY = 20  # correction pairs kept for each fit
SHRINK = 0.75  # drop finished fits from the batch when fewer than this fraction is left


@dataclass(frozen=True)
class Solution:
    """Coefficients b (r, T), f at the batch's events (m, T), whether each fit is at its minimum (T,), passes used."""

    b: Tensor
    f: Tensor
    converged: Tensor
    passes: int


@dataclass
class _State:
    """The fits still moving: columns of the batch, their position, gradient and BFGS pairs."""

    columns: Tensor
    batch: Batch
    start: Preconditioner
    b: Tensor
    f: Tensor
    g: Tensor
    pairs: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def keep(self, mask: Tensor) -> None:
        """Drop the fits where `mask` is false."""
        at = mask.nonzero()[:, 0]
        self.columns, self.batch, self.start = self.columns[at], self.batch.pick(at), self.start.keep(at)
        self.b, self.f, self.g = self.b[:, at], self.f[:, at], self.g[:, at]
        self.pairs = [(s[:, at], y[:, at], rho[at]) for s, y, rho in self.pairs]


def minimise(
    batch: Batch, start: Preconditioner, tolerance: float = TOLERANCE, max_passes: int = MAX_PASSES
) -> Solution:
    """Minimise every fit of `batch` from b = 0; `start` is the first guess of the inverse Hessians."""
    b = torch.zeros_like(batch.ridge)
    f = torch.zeros_like(batch.reference)
    converged = torch.zeros(batch.size, dtype=torch.bool)
    state = _State(torch.arange(batch.size), batch, start, b.clone(), f.clone(), gradient(batch, b, f))
    stuck = torch.zeros_like(converged)
    passes = 0
    while passes < max_passes:
        p = -_inverse_hessian_times(state.g, state.pairs, state.start)
        decrement = -(state.g * p).sum(0)  # below zero: rounding has spoilt the direction, which is no arrival
        arrived = (decrement >= 0.0) & (decrement <= tolerance**2)
        new = arrived & ~converged[state.columns]
        at = state.columns[new]
        b[:, at], f[:, at], converged[at] = state.b[:, new], state.f[:, new], True
        moving = ~(converged | stuck)[state.columns]
        if not bool(moving.any()):
            break
        if int(moving.sum()) < SHRINK * len(moving):
            state.keep(moving)
            p = p[:, moving]
        passes += 1
        stuck[state.columns] |= _advance(state, p) == 0.0
    for i in (~converged).nonzero()[:, 0].tolist():
        one = torch.tensor([i])
        b[:, one], f[:, one], ok = damped_newton(batch.pick(one), b[:, one], tolerance)
        converged[i] = ok
    return Solution(b, f, converged, passes)


def _advance(state: _State, p: Tensor) -> Tensor:
    """Step along the quasi-Newton directions p (r, T) and return the steps (T,): 0 where none lowers the loss."""
    fp = state.batch.phi.project(p)
    step = line_search(state.batch, state.b, state.f, p, fp)
    state.b, state.f = state.b + step * p, state.f + step * fp
    g = gradient(state.batch, state.b, state.f)
    s, y = step * p, g - state.g
    curvature = (s * y).sum(0)
    rho = torch.where(curvature > 0, 1.0 / curvature, torch.zeros_like(curvature))
    state.pairs = [*state.pairs, (s, y, rho)][-MEMORY:]
    state.g = g
    return step


def _inverse_hessian_times(g: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]], start: Preconditioner) -> Tensor:
    """Return the limited-memory BFGS product (two-loop recursion) that starts from H0^-1."""
    q = g.clone()
    alphas = []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s * q).sum(0)
        alphas.append(alpha)
        q -= alpha * y
    q = start.solve(q)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q += s * (alpha - rho * (y * q).sum(0))
    return q
