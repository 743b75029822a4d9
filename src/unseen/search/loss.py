"""The penalised weighted logistic loss of a batch of fits, and an exact line search along one direction each.

For one fit, with n = N_R + N_D and b the whitened coefficients (spec section 1, arXiv:2204.02317):

    n L(b) = sum_R w log(1 + exp f) + sum_D log(1 + exp(-f)) + n lambda/2 |b|^2,    f(x) = b . phi(x)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.search.features import Features

__all__ = ["Batch", "gradient", "hessian", "line_search"]

SLOPE_LEFT = 0.2  # the line search stops when the slope has fallen to this fraction
SEARCH_STEPS = 30


@dataclass(frozen=True)
class Batch:
    """T fits on one set of m events: `reference` and `data` are each event's weight in each fit, (m, T).

    `ridge` (r, T) is n lambda for penalised directions and 0 for the intercept.
    """

    phi: Features
    reference: Tensor
    data: Tensor
    ridge: Tensor

    @property
    def size(self) -> int:
        """Number T of fits."""
        return self.reference.shape[1]

    def pick(self, columns: Tensor) -> Batch:
        """Return the fits `columns` alone, on the same events."""
        return Batch(self.phi, self.reference[:, columns], self.data[:, columns], self.ridge[:, columns])


def residual(batch: Batch, f: Tensor) -> Tensor:
    """Return d(n L)/df: w sigmoid(f) on the reference, -sigmoid(-f) on the data, (m, T)."""
    return torch.sigmoid(f).mul_(batch.reference + batch.data).sub_(batch.data)


def gradient(batch: Batch, b: Tensor, f: Tensor) -> Tensor:
    """Return the gradient of n L at b, (r, T), given f = phi b."""
    return batch.phi.gather_sum(residual(batch, f)).addcmul_(batch.ridge, b)


def hessian(batch: Batch, f: Tensor) -> Tensor:
    """Return the Hessian of n L of a batch of one fit, (r, r)."""
    s = torch.sigmoid(f)
    curvature = (batch.reference + batch.data) * s * (1.0 - s)
    return batch.phi.second_moment(curvature[:, 0]) + torch.diag(batch.ridge[:, 0])


def line_search(batch: Batch, b: Tensor, f: Tensor, p: Tensor, fp: Tensor) -> Tensor:
    """Return a step (T,) along p where each convex loss has fallen and its slope is nearly gone.

    f = phi b and fp = phi p are given, so a trial step costs no product with the features. Newton on the slope, kept
    inside a bracket; a loss whose slope is still negative at the end is left at the lower bracket, which has fallen.
    """
    both = batch.reference + batch.data
    fixed = (batch.ridge * b * p).sum(0) - (batch.data * fp).sum(0)
    stiffness = (batch.ridge * p.square()).sum(0)
    start = (torch.sigmoid(f) * both * fp).sum(0) + fixed
    step = torch.ones_like(start)
    low, high = torch.zeros_like(start), torch.full_like(start, torch.inf)
    done = start >= 0.0  # no descent left at this precision
    step[done] = 0.0
    for _ in range(SEARCH_STEPS):
        s = torch.sigmoid(f + step * fp)
        slope = (s * both * fp).sum(0) + fixed + step * stiffness
        done |= slope.abs() <= SLOPE_LEFT * start.abs()
        if bool(done.all()):
            return step
        curvature = (s * (1.0 - s) * both * fp.square()).sum(0) + stiffness
        low = torch.where(~done & (slope < 0), step, low)
        high = torch.where(~done & (slope > 0), step, high)
        step = torch.where(done, step, _newton_in_bracket(step, slope / curvature, low, high))
    return torch.where(done, step, low)


def _newton_in_bracket(step: Tensor, move: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return step - move if it lies inside the bracket, else the bracket's middle (or four times the step)."""
    trial = step - move
    middle = torch.where(torch.isinf(high), 4.0 * step, 0.5 * (low + high))
    inside = (trial > low) & (trial < high) & (trial <= 4.0 * step)
    return torch.where(inside, trial, middle)
