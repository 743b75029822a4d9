"""What every systematic term of stage B has in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from unseen.embed.fine_tuning.heads import HeadConfig, HeadProblem
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.objectives import Problem

__all__ = ["Term", "TermProblem"]


@dataclass(frozen=True)
class TermProblem:
    """What a term is built for: the problem of the contrastive objective, and the head and what it needs."""

    problem: Problem
    head: HeadConfig
    head_problem: HeadProblem


class Term(nn.Module):
    """A loss on nominal events and the same events at nu; `usual_weight` is its alpha unless another one is given."""

    usual_weight: ClassVar[float] = 1.0

    @abstractmethod
    def forward(self, z: Tensor, rows: PairedRows) -> Tensor:
        """Embedding z (rows, d) -> a finite scalar to minimise."""

    def log_ratio(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """log r (b,) as the term knows it by now; 0 for one that learns no ratio."""
        return z.new_zeros(len(z))
