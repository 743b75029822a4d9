"""`equivariant`: E-SSL (arXiv:2111.00899): a head predicts from the embedding what the views did to the event."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.layers import perceptron
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem
from unseen.errors import ConfigError

__all__ = ["Equivariant", "EquivariantConfig"]


class EquivariantConfig(ObjectiveConfig):
    """Settings of `equivariant`."""

    name: Literal["equivariant"] = "equivariant"
    hidden: tuple[PositiveInt, ...] = Field(default=(64,), description="Hidden layers of the predictor.")

    @property
    def needs_parameters(self) -> bool:
        """They are the target."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The predictor. ConfigError if the views have no parameters."""
        if problem.n_parameters == 0:
            raise ConfigError("objective 'equivariant' predicts what views did; name views with parameters")
        return Equivariant(problem, self)


class Equivariant(Objective):
    """A predictor and the mean squared error of the parameters of the views: the auxiliary term of E-SSL.

    It keeps in the embedding what a contrastive loss on the same views removes; add the two with `sum`. What cannot be
    seen in the event, such as a rotation of a symmetric detector, cannot be predicted.
    """

    def __init__(self, problem: Problem, config: EquivariantConfig):
        super().__init__()
        self.predictor = perceptron(problem.dim, config.hidden, problem.n_parameters)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean squared error over events and parameters."""
        error = (self.predictor(embedding) - batch.parameters).square().mean(dim=1)
        return weighted_mean(error, batch.weight)
