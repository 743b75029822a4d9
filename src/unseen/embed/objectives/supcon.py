"""`supcon`: supervised contrastive loss (arXiv:2004.11362): events of a class together, other classes apart."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather, rank
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import Gather
from unseen.embed.objectives.projection import ProjectionConfig
from unseen.embed.objectives.soft_supcon import soft_supcon_loss

__all__ = ["SupCon", "SupConConfig", "supcon_loss"]


class SupConConfig(ProjectionConfig):
    """Settings of `supcon`."""

    name: Literal["supcon"] = "supcon"
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the cosine similarities.")

    @property
    def needs_classes(self) -> bool:
        """Positives are events of the class."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return SupCon(problem.dim, self)


class SupCon(Objective):
    """A projection head and the loss on its output. Views of an event share its class: they are positives of it too."""

    def __init__(self, dim: int, config: SupConConfig):
        super().__init__()
        self.temperature = config.temperature
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss."""
        return supcon_loss(self.head(embedding), batch.target, batch.weight, self.temperature, gather, rank())


def supcon_loss(
    projected: Tensor,
    target: Tensor,
    weight: Tensor,
    temperature: float,
    gather: Gather = lambda x: x,
    rank: int = 0,
) -> Tensor:
    """L_out of arXiv:2004.11362, Eq. 2, averaged over the anchors instead of summed.

    L_i = -sum_{p in P(i)} w_p log[ exp(s_ip / tau) / sum_{a != i} w_a exp(s_ia / tau) ] / sum_{p in P(i)} w_p and
    L = sum_i w_i L_i / sum_i w_i, with s the cosine similarity of `projected` (b, k), P(i) the other events with the
    `target` (b,) of i, and w the `weight` (b,) >= 0 at mean 1, so equal weights give Eq. 2. An anchor without positives
    contributes 0. `gather` brings the rows of every process (identity here) and `rank` is this process among them; the
    mean of what the processes return is the loss of all rows.
    """
    return soft_supcon_loss(projected, target[:, None], weight, (1.0,), temperature, gather, rank)
