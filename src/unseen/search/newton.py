"""Newton steps with a fit's own Hessian: the exact fallback, one fit at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from unseen.search.loss import Batch, gradient, hessian

__all__ = ["damped_newton", "next_step"]

MAX_NEWTON = 100
MAX_SEARCH = 30
OVERSHOOT = 0.5  # a step is taken when the slope beyond it is at most this fraction of the slope before it


def newton_direction(batch: Batch, b: Tensor, g: Tensor) -> Tensor:
    """Return -H(b)^-1 g (1, r) of a batch of one fit."""
    h = hessian(batch, b)
    factor, failed = torch.linalg.cholesky_ex(h)
    if int(failed) == 0:
        direction: Tensor = torch.cholesky_solve(g.T, factor).T
        return -direction
    values, vectors = torch.linalg.eigh(h)
    floor = float(values[-1]) * len(h) * torch.finfo(h.dtype).eps
    inverse = torch.where(values > floor, 1.0 / values, torch.zeros_like(values))
    flat_direction: Tensor = (g @ vectors * inverse) @ vectors.T
    return -flat_direction


def next_step(step: Tensor, slope: Tensor, slope_there: Tensor) -> Tensor:
    """Return a shorter step, where the secant of the slopes at 0 and at `step` is zero, within [0.1, 0.7] of it.

    The slope of a convex loss grows along the line, so the minimum lies between. A slope that is not a number is one
    too far out.
    """
    fraction = slope / (slope - slope_there)
    return step * torch.nan_to_num(fraction, nan=0.1).clamp(0.1, 0.7)


def damped_newton(batch: Batch, b: Tensor, tolerance: float) -> tuple[Tensor, bool]:
    """Minimise a batch of one fit from b (1, r) by Newton steps with a line search; return b and convergence.

    The Newton decrement sqrt(g' H^-1 g) is the distance to the minimum in units of the fit's own curvature.
    """
    g = gradient(batch, b)
    for _ in range(MAX_NEWTON):
        p = newton_direction(batch, b, g)
        slope = (g * p).sum()
        if float(slope) >= -(tolerance**2):
            return b + p, bool(slope <= 0.0)  # the last step is free and squares the error
        step = torch.ones_like(slope)
        for _ in range(MAX_SEARCH):
            there = gradient(batch, b + step * p)
            slope_there = (there * p).sum()
            if bool(slope_there <= -OVERSHOOT * slope):
                break
            step = next_step(step, slope, slope_there)
        else:
            return b, False
        b, g = b + step * p, there
    return b, False
