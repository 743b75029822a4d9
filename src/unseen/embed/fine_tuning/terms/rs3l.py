"""`rs3l`: an event and the same event at nu are positives of a contrastive loss (RS3L, arXiv:2403.07066)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms.base import Term, TermProblem
from unseen.embed.objectives.ntxent import NTXentConfig

__all__ = ["Rs3l"]


class Rs3l(Term):
    """`ntxent` on pairs of a nominal event and its distorted copy, of events that pass the selection both times."""

    def __init__(self, problem: TermProblem):
        super().__init__()
        self.loss = NTXentConfig().build(problem.problem)

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The mean loss of the pairs; 0 without any."""
        before, after = rows.pairs()
        if len(before) < 2:
            return z.sum() * 0.0
        at = torch.cat([before, after])
        batch: Batch = rows.plain(at)
        view = (torch.arange(len(at), device=at.device) >= len(before)).long()
        loss: Tensor = self.loss(z[at], replace(batch, view=view))
        return loss
