"""Newton steps with a fit's own Hessian: the published single step, and the damped iteration that always arrives."""

from __future__ import annotations

import torch
from torch import Tensor

from unseen.search.loss import Batch, gradient, hessian, line_search

__all__ = ["damped_newton", "newton_direction", "one_step"]

MAX_NEWTON = 100


def newton_direction(batch: Batch, f: Tensor, g: Tensor) -> Tensor:
    """Return -H(b)^-1 g (r, 1) of a batch of one fit."""
    h = hessian(batch, f)
    factor, failed = torch.linalg.cholesky_ex(h)
    if int(failed) == 0:
        direction: Tensor = torch.cholesky_solve(g, factor)
        return -direction
    values, vectors = torch.linalg.eigh(h)
    floor = float(values[-1]) * len(h) * torch.finfo(h.dtype).eps
    inverse = torch.where(values > floor, 1.0 / values, torch.zeros_like(values))
    flat_direction: Tensor = vectors @ (inverse[:, None] * (vectors.T @ g))
    return -flat_direction


def one_step(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return b (r, T) and f (m, T) after one Newton step from f = 0: what the published code computes."""
    zero = torch.zeros_like(batch.ridge)
    f0 = torch.zeros_like(batch.reference)
    g = gradient(batch, zero, f0)
    b = torch.cat([newton_direction(one, f0[:, :1], g[:, i : i + 1]) for i, one in _singles(batch)], dim=1)
    return b, batch.phi.project(b)


def _singles(batch: Batch) -> list[tuple[int, Batch]]:
    return [(i, batch.pick(torch.tensor([i]))) for i in range(batch.size)]


def damped_newton(batch: Batch, b: Tensor, tolerance: float) -> tuple[Tensor, Tensor, bool]:
    """Minimise a batch of one fit from b (r, 1) by Newton steps with a line search; return b, f and convergence.

    The Newton decrement sqrt(g' H^-1 g) is the distance to the minimum in units of the fit's own curvature.
    """
    f = batch.phi.project(b)
    for _ in range(MAX_NEWTON):
        g = gradient(batch, b, f)
        p = newton_direction(batch, f, g)
        decrement = float((-(g * p).sum()).clamp(min=0.0).sqrt())
        fp = batch.phi.project(p)
        if decrement <= tolerance:
            return b + p, f + fp, True  # the last step is free and squares the error
        step = line_search(batch, b, f, p, fp)
        if float(step) == 0.0:
            return b, f, False
        b, f = b + step * p, f + step * fp
    return b, f, False
