"""The projection head that joint-embedding losses work on, after which the embedding itself is kept."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import nn

from unseen.embed.layers import perceptron
from unseen.embed.objectives.base import ObjectiveConfig

__all__ = ["ProjectionConfig"]


class ProjectionConfig(ObjectiveConfig):
    """Settings of an objective with a projection head (arXiv:2002.05709)."""

    head_hidden: tuple[PositiveInt, ...] = Field(default=(64,), description="Hidden layers of the projection head.")
    head_dim: int = Field(default=52, gt=0, description="Output width of the projection head.")

    def head(self, dim: int) -> nn.Module:
        """Embedding (b, dim) -> (b, head_dim)."""
        return perceptron(dim, self.head_hidden, self.head_dim)
