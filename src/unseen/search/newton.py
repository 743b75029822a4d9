"""Newton steps with a fit's own Hessian: the exact fallback, one fit at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from unseen.search.loss import Batch, gradient, hessian

__all__ = ["LOGISTIC", "Rules", "damped_newton", "newton_steps", "next_step"]

MAX_NEWTON = 100
MAX_SEARCH = 30
OVERSHOOT = 0.5  # a step is taken when the slope beyond it is at most this fraction of the slope before it
B = TypeVar("B")


@dataclass(frozen=True)
class Rules(Generic[B]):
    """What a solver asks of a batch of fits at b (T, r): its gradients (T, r), and of one fit its Hessian (r, r)."""

    gradient: Callable[[B, Tensor], Tensor]
    hessian: Callable[[B, Tensor], Tensor]


LOGISTIC: Rules[Batch] = Rules(gradient, hessian)


def newton_direction(h: Tensor, g: Tensor) -> Tensor:
    """Return -H^-1 g (1, r); where H is not positive, -|H|^-1 g: downhill, away from a saddle."""
    factor, failed = torch.linalg.cholesky_ex(h)
    if int(failed) == 0:
        direction: Tensor = torch.cholesky_solve(g.T, factor).T
        return -direction
    values, vectors = torch.linalg.eigh(h)
    floor = float(values[-1]) * len(h) * torch.finfo(h.dtype).eps
    inverse = torch.where(values.abs() > floor, 1.0 / values.abs(), torch.zeros_like(values))
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
    """Minimise the logistic loss of a batch of one fit, see `newton_steps`."""
    return newton_steps(batch, b, tolerance, LOGISTIC)


def newton_steps(batch: B, b: Tensor, tolerance: float, rules: Rules[B]) -> tuple[Tensor, bool]:
    """Minimise a batch of one fit from b (1, r) by Newton steps with a line search; return b and convergence.

    The Newton decrement sqrt(g' H^-1 g) is the distance to the minimum in units of the fit's own curvature.
    """
    g = rules.gradient(batch, b)
    for _ in range(MAX_NEWTON):
        p = newton_direction(rules.hessian(batch, b), g)
        slope = (g * p).sum()
        if float(slope) >= -(tolerance**2):
            return b + p, bool(slope <= 0.0)  # the last step is free and squares the error
        step = torch.ones_like(slope)
        for _ in range(MAX_SEARCH):
            there = rules.gradient(batch, b + step * p)
            slope_there = (there * p).sum()
            if bool(slope_there <= -OVERSHOOT * slope):
                break
            step = next_step(step, slope, slope_there)
        else:
            return b, False
        b, g = b + step * p, there
    return b, False
