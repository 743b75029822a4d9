"""`equivariant`: a head finds nu from an event before and after (E-SSL, arXiv:2111.00899)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms.base import Term, TermProblem
from unseen.embed.objectives.equivariant import EquivariantConfig

__all__ = ["Equivariance"]


class Equivariance(Term):
    """The objective `equivariant` on (z nominal, z at nu) side by side, with nu over its largest value as target.

    Events that pass the selection both times take part. What weights or rates change cannot be seen in one event.
    """

    scale: Tensor

    def __init__(self, problem: TermProblem):
        super().__init__()
        scale = problem.head_problem.scale
        self.register_buffer("scale", scale.clone())
        side_by_side = replace(problem.problem, dim=2 * problem.problem.dim, n_parameters=len(scale))
        self.loss = EquivariantConfig(hidden=problem.head.hidden).build(side_by_side)

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The mean squared error over events and parameters; 0 without any pair."""
        before, after = rows.pairs()
        if not len(before):
            return z.sum() * 0.0
        batch = replace(rows.plain(before), parameters=rows.nu[before] / self.scale)
        loss: Tensor = self.loss(torch.cat([z[before], z[after]], dim=1), batch)
        return loss
