"""What every training objective has in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.registry import NamedConfig

__all__ = ["Objective", "ObjectiveConfig", "Problem"]


@dataclass(frozen=True)
class Problem:
    """What an objective is built for.

    Numbers of the embedding, of classes, of columns of `Batch.parameters`; the layout of the events and the
    normalisation that the network applies to them; families of anomalies.
    """

    dim: int
    n_classes: int
    n_parameters: int
    schema: Schema
    normalisation: Normalisation
    n_families: int = 0


class Objective(nn.Module):
    """A loss with its own head (projection, classifier, decoder), which is thrown away after training."""

    @abstractmethod
    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) of the rows of the batch -> a finite scalar to minimise.

        In distributed training its average over the processes is the loss of all their rows as one batch.
        """

    def attach(self, network: nn.Module) -> None:
        """Called once before training with the untrained network, for objectives with a teacher."""

    def after_step(self, network: nn.Module) -> None:
        """Called after every step of the optimiser with the network as it is now."""


class ObjectiveConfig(NamedConfig):
    """Settings of one objective, and how to build it."""

    @property
    def needs_classes(self) -> bool:
        """Whether the events must have two classes or more."""
        return False

    @property
    def least_views(self) -> int:
        """Fewest views of every event in a batch."""
        return 1

    @property
    def needs_anomalies(self) -> bool:
        """Whether a batch holds a copy of every event made anomalous."""
        return False

    @property
    def needs_parameters(self) -> bool:
        """Whether the views must say what they did."""
        return False

    @property
    def needs_families(self) -> bool:
        """Whether a batch holds a copy of every event made into one of the families of anomalies."""
        return False

    @abstractmethod
    def build(self, problem: Problem) -> Objective:
        """The untrained module; initial weights come from torch's current generator."""
