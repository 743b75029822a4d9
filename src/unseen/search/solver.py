"""Minimise many penalised logistic losses at once: one factorised Hessian, corrected for each fit as it goes.

The chord iteration b <- b - H0^-1 grad (spec section 2) converges in a few passes where a fit's curvature is that of
the reference, and diverges where single events carry a kernel. So H0^-1 (or a better guess, see `precondition`) starts
a limited-memory BFGS update, each fit with its own corrections, step lengths and convergence check; a fit that is still
not there gets Newton steps with its own Hessian. Every pass over the events serves all fits: those that search along
their line, and those that take a new direction. The losses are convex, so slopes alone tell whether a step went too
far, and the loss itself, which float32 cannot resolve near its minimum, is never needed.

`descend` does the same for any smooth loss with its `Rules`. Where it is not convex the direction is still downhill,
and an update of negative curvature is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from unseen.search.loss import Batch, gradient
from unseen.search.newton import LOGISTIC, OVERSHOOT, Rules, newton_steps, next_step
from unseen.search.precondition import Preconditioner

__all__ = ["Solution", "descend", "minimise"]

MAX_PASSES = 200
MEMORY = 20  # correction pairs kept for each fit
SHRINK = 0.75  # drop finished fits from the batch when fewer than this fraction is left
Pair = tuple[Tensor, Tensor, Tensor]


class Fits(Protocol):
    """A batch of fits, of which some can be picked."""

    def pick(self, at: Tensor) -> Self:
        """Return the fits `at` alone."""


B = TypeVar("B", bound=Fits)


@dataclass(frozen=True)
class Solution:
    """Coefficients b (T, r), whether each fit is at its minimum (T,), passes over the events that were used."""

    b: Tensor
    converged: Tensor
    passes: int


@dataclass
class _State(Generic[B]):
    """The fits still moving: their columns, position, gradient, direction, slope, step on trial and BFGS pairs."""

    columns: Tensor
    batch: B
    rules: Rules[B]
    start: Preconditioner
    b: Tensor
    g: Tensor
    p: Tensor
    slope: Tensor
    step: Tensor
    pairs: list[Pair] = field(default_factory=list)

    def keep(self, at: Tensor) -> None:
        """Keep the fits `at` alone."""
        self.columns, self.batch, self.start = self.columns[at], self.batch.pick(at), self.start.keep(at)
        self.b, self.g, self.p, self.slope, self.step = (
            part[at] for part in (self.b, self.g, self.p, self.slope, self.step)
        )
        self.pairs = [(s[at], y[at], rho[at]) for s, y, rho in self.pairs]


def minimise(
    batch: Batch, start: Preconditioner, tolerance: float, first: Tensor | None = None, max_passes: int = MAX_PASSES
) -> Solution:
    """Minimise every fit of `batch` from b = 0; `start` is the first guess of the inverse Hessians.

    `first` (T, r) is the gradient at 0 if it is known.
    """
    g = gradient(batch, None) if first is None else first
    return descend(batch, LOGISTIC, start, torch.zeros_like(batch.ridge), g, tolerance, max_passes)


def descend(
    batch: B,
    rules: Rules[B],
    start: Preconditioner,
    b: Tensor,
    g: Tensor,
    tolerance: float,
    max_passes: int = MAX_PASSES,
) -> Solution:
    """Minimise every fit of `batch` from b (T, r) with its gradient g (T, r); see `minimise`."""
    state = _start(batch, rules, start, b, g)
    b = b.clone()
    converged = torch.zeros(len(b), dtype=torch.bool, device=b.device)
    passes = 0
    while len(state.columns) and passes < max_passes:
        # A slope above zero is a direction that rounding has spoilt: no arrival, and left to Newton steps.
        arrived = (state.slope <= 0.0) & (state.slope >= -(tolerance**2))
        at = state.columns[arrived]
        b[at], converged[at] = (state.b + state.p)[arrived], True  # the last step is free and squares the error
        lost = (state.slope > 0.0) | ~torch.isfinite(state.slope)
        b[state.columns[lost]] = state.b[lost]
        moving = ~(arrived | lost)
        if int(moving.sum()) < SHRINK * len(moving) or not bool(moving.any()):
            state.keep(moving.nonzero()[:, 0])
            if not len(state.columns):
                break
        passes += 1
        _advance(state)
    b[state.columns] = torch.where(converged[state.columns, None], b[state.columns], state.b)
    for i in (~converged).nonzero()[:, 0].tolist():
        one = torch.tensor([i], device=b.device)
        b[one], ok = newton_steps(batch.pick(one), torch.nan_to_num(b[one]), tolerance, rules)
        converged[i] = ok
    return Solution(b, converged, passes)


def _start(batch: B, rules: Rules[B], start: Preconditioner, b: Tensor, g: Tensor) -> _State[B]:
    p = -start.solve(g)
    slope = (g * p).sum(1)
    columns = torch.arange(len(b), device=g.device)
    return _State(columns, batch, rules, start, b, g, p, slope, torch.ones_like(slope))


def _advance(state: _State[B]) -> None:
    """Evaluate the gradients at the steps on trial; take the steps that did not go too far, shorten the others."""
    trial = state.b + state.step[:, None] * state.p
    g = state.rules.gradient(state.batch, trial)
    slope_there = (g * state.p).sum(1)
    taken = slope_there <= -OVERSHOOT * state.slope
    s, y = trial - state.b, g - state.g
    curvature = (s * y).sum(1)
    usable = taken & (curvature > 0)
    rho = torch.where(usable, 1.0 / curvature, torch.zeros_like(curvature))
    state.pairs = [*state.pairs, (s, y, rho)][-MEMORY:]
    column = taken[:, None]
    state.b, state.g = torch.where(column, trial, state.b), torch.where(column, g, state.g)
    p = torch.where(column, -_inverse_hessian_times(state.g, state.pairs, state.start), state.p)
    state.step = torch.where(taken, torch.ones_like(state.step), next_step(state.step, state.slope, slope_there))
    state.p, state.slope = p, (state.g * p).sum(1)


def _inverse_hessian_times(g: Tensor, pairs: list[Pair], start: Preconditioner) -> Tensor:
    """Return the limited-memory BFGS product (two-loop recursion) that starts from H0^-1."""
    q = g.clone()
    alphas = []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s * q).sum(1)
        alphas.append(alpha)
        q -= alpha[:, None] * y
    q = start.solve(q)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q += s * (alpha - rho * (y * q).sum(1))[:, None]
    return q
