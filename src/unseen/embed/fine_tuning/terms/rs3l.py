"""`rs3l`: simulations of an event, distorted ones too, are positives of a contrastive loss (RS3L, arXiv:2403.07066)."""

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
    """`ntxent` on a nominal event, its distorted copy, and its re-simulated partners where the model's views have any.

    Events that pass the selection both times take part.
    """

    def __init__(self, problem: TermProblem):
        super().__init__()
        self.loss = NTXentConfig().build(problem.problem)

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The mean loss of the rows; 0 without any pair."""
        before, after = rows.pairs()
        if len(before) < 2:
            return z.sum() * 0.0
        partner = rows.resimulated()
        partner = partner[torch.isin(rows.position[partner], rows.position[before])]
        at = torch.cat([before, after, partner])
        batch: Batch = rows.plain(at)
        view = torch.cat([torch.full_like(part, i) for i, part in enumerate((before, after, partner))])
        loss: Tensor = self.loss(z[at], replace(batch, view=view))
        return loss
