"""A cheap closure on held-out events: what a correction of the learned log r would still gain (a score test)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Residuals", "mean_squared_pull", "residuals"]


class Residuals(NamedTuple):
    """Of some events: which ones (rows,), and their part of every residual moment, (rows, features)."""

    instance: Tensor
    score: Tensor


def residuals(x: Tensor, nu: Tensor, log_r: Tensor, rate: Tensor, shifted: Tensor, instance: Tensor) -> Residuals:
    """The slope of the cross-entropy in corrections c . phi of log r, with phi = (1, x) times (nu_k, nu_k nu_k).

    x (rows, d) is z standardised, nu (rows, k) over its scale, log_r and rate (rows,), shifted (rows,) the class.
    """
    wrong = torch.sigmoid(torch.where(shifted, -log_r, log_r)) * torch.where(shifted, rate, -rate)
    of_z = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
    of_nu = torch.cat([nu, nu.square()], dim=1)
    return Residuals(instance, wrong[:, None] * (of_z[:, :, None] * of_nu[:, None, :]).flatten(1))


def mean_squared_pull(parts: Sequence[Residuals]) -> float | None:
    """The mean over moments of (sum / error)^2, the error from the scatter of events: about 1 if the ratio closes.

    All rows of one event count as one. None without events.
    """
    if not parts:
        return None
    instance, score = (torch.cat(columns).cpu() for columns in zip(*parts, strict=True))
    events, index = torch.unique(instance, return_inverse=True)
    if len(events) < 2:
        return None
    each = torch.zeros((len(events), score.shape[1]), dtype=torch.float64).index_add(0, index, score.double())
    variance = each.square().sum(dim=0)
    seen = variance > 0
    pulls = each.sum(dim=0)[seen].square() / variance[seen]
    return float(pulls.mean()) if len(pulls) else None
