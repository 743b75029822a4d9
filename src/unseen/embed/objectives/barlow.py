"""`barlow`: Barlow Twins (arXiv:2103.03230): the cross-correlation of two views of the events is the identity."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import unit_mean
from unseen.embed.objectives.copies import views_of
from unseen.embed.objectives.projection import ProjectionConfig

__all__ = ["Barlow", "BarlowConfig", "barlow_loss"]


class BarlowConfig(ProjectionConfig):
    """Settings of `barlow`."""

    name: Literal["barlow"] = "barlow"
    off_diagonal: float = Field(default=5e-3, ge=0.0, description="Weight of the redundancy term (lambda).")

    @property
    def least_views(self) -> int:
        """The twins."""
        return 2

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return Barlow(problem.dim, self)


class Barlow(Objective):
    """A projection head and the loss on its output."""

    def __init__(self, dim: int, config: BarlowConfig):
        super().__init__()
        self.off_diagonal = config.off_diagonal
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the loss of the rows of all processes."""
        # Events first, so that the rows of the processes can follow each other.
        views = gather(views_of(self.head(embedding), batch).transpose(0, 1)).transpose(0, 1)
        return barlow_loss(views, gather(views_of(batch.weight, batch)[0]), self.off_diagonal)


def barlow_loss(views: Tensor, weight: Tensor, lam: float, epsilon: float = 1e-5) -> Tensor:
    """Eq. 1 of arXiv:2103.03230: sum_i (1 - C_ii)^2 + lam sum_{i != j} C_ij^2, C the cross-correlation of two views.

    The mean over all pairs of the `views` (V, n, k). Features are standardised over the events, with `weight` (n,) >= 0
    and `epsilon` added to the variance.
    """
    w = unit_mean(weight.float()) / len(weight)
    z = views.float()
    z = z - (w[:, None] * z).sum(dim=1, keepdim=True)
    z = z * torch.rsqrt((w[:, None] * z.square()).sum(dim=1, keepdim=True) + epsilon)
    losses = []
    for a, b in combinations(range(len(z)), 2):
        correlation = (w[:, None] * z[a]).T @ z[b]
        diagonal = correlation.diagonal()
        redundancy = correlation.square().sum() - diagonal.square().sum()
        losses.append((1.0 - diagonal).square().sum() + lam * redundancy)
    return torch.stack(losses).mean()
