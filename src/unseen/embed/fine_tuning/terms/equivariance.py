"""`equivariant`: a head finds nu from an event before and after (E-SSL, arXiv:2111.00899)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms.base import Term, TermProblem
from unseen.embed.objectives.equivariant import EquivariantConfig

__all__ = ["Equivariance"]


class Equivariance(Term):
    """The objective `equivariant` on z and its change side by side, with nu over its largest value as target.

    Both are standardised, the change by its own size: it is a small part of z, which a network would not see. Events
    that pass the selection both times take part. What weights or rates change cannot be seen in one event.
    """

    # The mean squared error falls by hundredths where contrastive losses move by tenths.
    usual_weight: ClassVar[float] = 10.0

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, problem: TermProblem):
        super().__init__()
        scale = problem.head_problem.scale
        for name in ("mean", "deviation", "scale"):
            self.register_buffer(name, getattr(problem.head_problem, name).clone())
        side_by_side = replace(problem.problem, dim=2 * problem.problem.dim, n_parameters=len(scale))
        self.loss = EquivariantConfig(hidden=problem.head.hidden).build(side_by_side)

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The mean squared error over events and parameters; 0 without any pair."""
        before, after = rows.pairs()
        if not len(before):
            return z.sum() * 0.0
        batch = replace(rows.plain(before), parameters=rows.nu[before] / self.scale)
        start, change = (z[before] - self.mean) / self.deviation, (z[after] - z[before]) / self.deviation
        size = change.detach().square().mean(dim=0).sqrt().clamp_min(torch.finfo(z.dtype).eps)
        loss: Tensor = self.loss(torch.cat([start, change / size], dim=1), batch)
        return loss
