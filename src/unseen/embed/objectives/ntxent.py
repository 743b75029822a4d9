"""`ntxent`: SimCLR (arXiv:2002.05709): views of an event together, all other events apart; no labels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather, rank
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.projection import ProjectionConfig
from unseen.embed.objectives.supcon import supcon_loss

__all__ = ["NTXent", "NTXentConfig"]


class NTXentConfig(ProjectionConfig):
    """Settings of `ntxent`."""

    name: Literal["ntxent"] = "ntxent"
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the cosine similarities.")

    @property
    def least_views(self) -> int:
        """An event is told apart from others by two views of it."""
        return 2

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return NTXent(problem.dim, self)


class NTXent(Objective):
    """A projection head and the loss of arXiv:2002.05709, Eq. 1, on its output.

    The classes of `supcon_loss` are the events: with two views of each it is the NT-Xent loss, with more views the
    mean over the other views. An event that a sampler draws twice, or that is in the batch beside its re-simulated
    partner, counts as one event with twice the views.
    """

    def __init__(self, dim: int, config: NTXentConfig):
        super().__init__()
        self.temperature = config.temperature
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss."""
        return supcon_loss(self.head(embedding), batch.origin, batch.weight, self.temperature, gather, rank())
