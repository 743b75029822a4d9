"""`soft-supcon`: supervised contrastive loss with graded positives: the more levels of a tree shared, the closer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, field_validator
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather, rank
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import Gather, log_sum, log_weight, positives, unit_mean, unit_vectors
from unseen.embed.objectives.projection import ProjectionConfig
from unseen.errors import ConfigError

__all__ = ["SoftSupCon", "SoftSupConConfig", "soft_supcon_loss"]

# Rounding can take a mean cosine far beyond 1 where the positives weigh next to nothing; the slack keeps gradients
# of those that are 1.
LARGEST_COSINE = 1.001


class SoftSupConConfig(ProjectionConfig):
    """Settings of `soft-supcon`."""

    name: Literal["soft-supcon"] = "soft-supcon"
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the cosine similarities.")
    level_weights: tuple[NonNegativeFloat, ...] | None = Field(
        default=None,
        min_length=1,
        description="How much an event whose deepest shared level is this one counts as a positive, from the coarsest "
        "level to the target; never falling. null: 1/L, 2/L ... 1 for L levels.",
    )

    @field_validator("level_weights")
    @classmethod
    def _grow(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (value[-1] == 0.0 or any(fine < coarse for coarse, fine in pairwise(value))):
            raise ValueError(f"go from the coarsest level to the target, must not fall and end above 0, got {value}")
        return value

    @property
    def needs_classes(self) -> bool:
        """Positives share levels of the classes."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return SoftSupCon(problem.dim, self)


class SoftSupCon(Objective):
    """A projection head and the loss on its output."""

    def __init__(self, dim: int, config: SoftSupConConfig):
        super().__init__()
        self.temperature = config.temperature
        self.level_weights = config.level_weights
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss. ConfigError if the labels have another number of levels."""
        levels = batch.levels.shape[1]
        values = self.level_weights or [(level + 1) / levels for level in range(levels)]
        if len(values) != levels:
            raise ConfigError(f"soft-supcon: {len(values)} level_weights for the {levels} levels of the labels")
        return soft_supcon_loss(
            self.head(embedding), batch.levels, batch.weight, values, self.temperature, gather, rank()
        )


def soft_supcon_loss(
    projected: Tensor,
    levels: Tensor,
    weight: Tensor,
    level_weights: Sequence[float],
    temperature: float,
    gather: Gather = lambda x: x,
    rank: int = 0,
) -> Tensor:
    """L_out of arXiv:2004.11362, Eq. 2, with positives weighted by the deepest level that they share with the anchor.

    L_i = -sum_{p != i} v_ip w_p log[ exp(s_ip / tau) / sum_{a != i} w_a exp(s_ia / tau) ] / sum_{p != i} v_ip w_p and
    L = sum_i w_i L_i / sum_i w_i. `levels` (b, L) are the classes in a tree, coarsest first: events that share one
    share all before it. v_ip is the entry of `level_weights` (L, never falling) of the deepest shared level, and 0
    without one. s, w, `gather` and `rank` as in `supcon_loss`, which is the case of one level.
    """
    anchors = unit_vectors(projected)
    others, w, levels = gather(anchors), unit_mean(gather(weight.float())), gather(levels)
    here = torch.arange(len(anchors), device=anchors.device) + rank * len(anchors)
    similarity, share = torch.zeros_like(w[here]), torch.zeros_like(w[here])
    # In a tree the weight of the deepest shared level is the sum of the increments of all shared levels.
    for level, (below, value) in enumerate(pairwise((0.0, *level_weights))):
        if value > below:
            sums = positives(anchors, others, levels[:, level], w, here)
            similarity, share = similarity + (value - below) * sums[0], share + (value - below) * sums[1]
    has_positive = share > 0
    mean_similarity = (similarity / torch.where(has_positive, share, 1.0)).clamp(-LARGEST_COSINE, LARGEST_COSINE)
    # Rows without any other event stay finite in `log_sum`, and `has_positive` drops them here.
    per_anchor = log_sum(anchors / temperature, others, log_weight(w), here) - mean_similarity / temperature
    return (w[here] * torch.where(has_positive, per_anchor, 0.0)).mean()
