"""`classifier`: cross-entropy of the classes through the embedding: the control experiment of contrastive losses."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn.functional import cross_entropy

from unseen.embed.data import Batch
from unseen.embed.gather import total
from unseen.embed.layers import perceptron
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem

__all__ = ["Classifier", "ClassifierConfig"]


class ClassifierConfig(ObjectiveConfig):
    """Settings of `classifier`."""

    name: Literal["classifier"] = "classifier"
    hidden: tuple[PositiveInt, ...] = Field(
        default=(), description="Hidden layers between embedding and classes; without one the classes are linear in it."
    )
    adjustment: float = Field(
        default=0.0,
        ge=0.0,
        description="Logit adjustment: 0 learns p(class | event) with classes as frequent as in the batches, 1 with "
        "equally frequent ones.",
    )

    @property
    def needs_classes(self) -> bool:
        """They are the target."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The classifier."""
        return Classifier(problem, self)


class Classifier(Objective):
    """A head and the cross-entropy of its logits, adjusted as in arXiv:2007.07314, Eq. 10: f_y + tau log p(y).

    p(y) is the weighted frequency of the class among all rows seen so far in training, starting from one each.
    """

    seen: Tensor

    def __init__(self, problem: Problem, config: ClassifierConfig):
        super().__init__()
        self.adjustment = config.adjustment
        self.head = perceptron(problem.dim, config.hidden, problem.n_classes)
        self.register_buffer("seen", torch.ones(problem.n_classes))

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean cross-entropy in nats."""
        logits = self.head(embedding)
        if self.adjustment:
            if self.training:
                counts = torch.zeros_like(self.seen).index_add(0, batch.target, batch.weight.float())
                self.seen += total(counts)
            logits = logits + self.adjustment * (self.seen / self.seen.sum()).log()
        return weighted_mean(cross_entropy(logits, batch.target, reduction="none"), batch.weight)
