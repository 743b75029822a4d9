"""`invariant`: an event and the same event at nu at one place, compared with how far events are apart."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms.base import Term, TermProblem
from unseen.embed.objectives.average import weighted_mean

__all__ = ["Alignment"]


class Alignment(Term):
    """The mean of |z(nu) - z(0)|^2 over twice the variance of z(0): 1 if a pair is as far apart as any two events.

    It is the alignment half of a contrastive loss (arXiv:2005.10242); the other half, which keeps events apart, is that
    of the model's own objective. Events that pass the selection both times take part.
    """

    # A pair is a hundredth of that apart from the start.
    usual_weight: ClassVar[float] = 30.0

    def __init__(self, problem: TermProblem):
        super().__init__()

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The ratio of squared distances; 0 without two pairs."""
        before, after = rows.pairs()
        if len(before) < 2:
            return z.sum() * 0.0
        weight = rows.weight[before]
        start, moved = z[before], z[after]
        centre = torch.stack([weighted_mean(column, weight) for column in start.unbind(dim=1)])
        spread = weighted_mean((start - centre).square().sum(dim=1), weight)
        away = weighted_mean((moved - start).square().sum(dim=1), weight)
        return away / (2 * spread).clamp_min(torch.finfo(z.dtype).tiny)
