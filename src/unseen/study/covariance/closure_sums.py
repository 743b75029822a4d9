"""Sums of kernel features over a weighted pool, with the covariance of these sums as estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.validate import Floats

__all__ = ["PoolSums", "difference_sums", "pool_sums"]


@dataclass(frozen=True)
class PoolSums:
    """Of events with features phi and shares p, in units of the nominal yield.

    `mean` sum p phi (r,), `second` sum p phi phi' (r, r), `covariance` (r, r) of the mean as an estimate, `fourth` sum
    p h^2 with h = phi' A phi, `noise` the variance of sum p h and `joint` (r,) its covariance with the mean, and `size`
    the number of equal events the pool is worth.
    """

    mean: Tensor
    second: Tensor
    covariance: Tensor
    fourth: float
    noise: float
    joint: Tensor
    size: float


def pool_sums(
    fitted: Fitted, phi: Features, form: Tensor, p: Floats, base: Floats, every: Floats | None = None
) -> PoolSums:
    """Return the sums of events with features `phi` and shares `p` (n,), which may be differences of shares.

    `base` (n,) are their nominal shares, `every` those of all events of the pool, selected or not, if there are others:
    p's unit is their sum, so that it fluctuates as a ratio of yields does.
    """
    p_ = torch.from_numpy(p)
    mean, across = phi.total(fitted.tensor(np.stack([p, p * base])))
    second, squares = (phi.second_moment(fitted.tensor(w)) for w in (p, p**2))
    root = torch.linalg.cholesky(form).to(phi.compute.dtype)
    powers = phi.accumulate(lambda rows, block: _powers(block, _norms(block, root), p_[rows]))
    spent = float(np.square(base if every is None else every).sum())
    covariance = _centred(squares, across, mean, spent)
    return PoolSums(mean, second, covariance, float(powers[0]), float(powers[1]), powers[2:], 1.0 / spent)


def difference_sums(
    form: Tensor, there: tuple[Features, Floats], here: tuple[Features, Floats], base: Floats
) -> PoolSums:
    """Return the sums of one pool at nu minus those of the same events at 0; each is features and shares (n,)."""
    (phi, p), (phi_0, p_0) = there, here
    root = torch.linalg.cholesky(form).to(phi.compute.dtype)
    r = len(form)
    mean, across = torch.zeros(r, dtype=torch.float64), torch.zeros(r, dtype=torch.float64)
    second, squares = torch.zeros_like(form), torch.zeros_like(form)
    joint, fourth, noise = torch.zeros_like(mean), 0.0, 0.0
    for (rows, block), (_, block_0) in zip(phi, phi_0, strict=True):
        w, w_0, b = (torch.from_numpy(x[rows]) for x in (p, p_0, base))
        moved, still = w[:, None] * block.double(), w_0[:, None] * block_0.double()
        change = moved - still
        mean, across = mean + change.sum(0), across + b @ change
        squares = squares + change.T @ change
        second = second + moved.T @ block.double() - still.T @ block_0.double()
        h, h_0 = _norms(block, root), _norms(block_0, root)
        fourth += float(w @ h.square() - w_0 @ h_0.square())
        own = w * h - w_0 * h_0
        noise, joint = noise + float(own.square().sum()), joint + own @ change
    spent = float(np.square(base).sum())
    return PoolSums(mean, second, _centred(squares, across, mean, spent), fourth, noise, joint, 1.0 / spent)


def _centred(squares: Tensor, across: Tensor, mean: Tensor, spent: float) -> Tensor:
    covariance: Tensor = (
        squares - torch.outer(across, mean) - torch.outer(mean, across) + spent * torch.outer(mean, mean)
    )
    return covariance


def _norms(block: Tensor, root: Tensor) -> Tensor:
    """Return h (rows,)."""
    return (block @ root).square_().sum(1).double()


def _powers(block: Tensor, h: Tensor, p: Tensor) -> Tensor:
    """Return the sums of p h^2, p^2 h^2 and p^2 h phi (2 + r,)."""
    squares = torch.stack([p @ h.square(), p.square() @ h.square()])
    return torch.cat([squares, (p.square() * h) @ block.double()])
