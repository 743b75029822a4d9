"""`covariant`: parameterised classification of events at nu against nominal events paired with the same nu."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms.base import Term, TermProblem

__all__ = ["Likelihood", "cross_entropy"]


class Likelihood(Term):
    """A head for log r(z; nu) and the binary cross-entropy of arXiv:1506.02169 with log r as logit.

    Every stored event enters both classes with its weight if it passes the selection there, and the classes are not
    balanced, so the minimum is the ratio of rates log n(z | nu) / n(z | 0).
    """

    # What is to be learned is a thousandth of a nat per event, where contrastive losses move by tenths.
    usual_weight: ClassVar[float] = 100.0

    def __init__(self, problem: TermProblem):
        super().__init__()
        self.head = problem.head.build(problem.head_problem)

    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """The cross-entropy per nominal event, less that of r = 1: nothing learned is 0."""
        before, after = rows.nominal(), rows.shifted()
        at = torch.cat([before, after])
        logit = self.log_ratio(z[at], rows.nu[at], rows.process[at])
        return cross_entropy(logit, rows.rate[at], torch.arange(len(at), device=at.device) >= len(before))

    def log_ratio(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """The head."""
        log_r: Tensor = self.head(z, nu, process)
        return log_r


def cross_entropy(logit: Tensor, rate: Tensor, shifted: Tensor) -> Tensor:
    """sum rate [log(1 + exp(-+ logit)) - log 2], - for shifted rows; logit, rate, shifted (rows,)."""
    each = nn.functional.softplus(torch.where(shifted, -logit, logit)) - math.log(2.0)
    return (rate * each).sum()
