"""What every training objective has in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.registry import NamedConfig
from unseen.events import Schema

__all__ = ["Objective", "ObjectiveConfig"]


class Objective(nn.Module):
    """A loss with its own head (projection, classifier, decoder), which is thrown away after training."""

    @abstractmethod
    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) of the events of the batch -> a finite scalar to minimise."""


class ObjectiveConfig(NamedConfig):
    """Settings of one objective, and how to build it."""

    needs_classes: ClassVar[bool] = False

    @abstractmethod
    def build(self, dim: int, n_classes: int, schema: Schema) -> Objective:
        """The untrained module; initial weights come from torch's current generator."""
