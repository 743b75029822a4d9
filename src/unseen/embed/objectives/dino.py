"""`dino`: self-distillation without labels (arXiv:2104.14294): one view predicts what a teacher sees in another."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.gather import total
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import unit_vectors
from unseen.embed.objectives.copies import views_of
from unseen.embed.objectives.projection import ProjectionConfig
from unseen.errors import NotFittedError

__all__ = ["Dino", "DinoConfig", "distillation", "follow"]


class DinoConfig(ProjectionConfig):
    """Settings of `dino`."""

    name: Literal["dino"] = "dino"
    prototypes: int = Field(default=256, gt=1, description="Outputs that student and teacher give probabilities to.")
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the student's outputs.")
    teacher_temperature: float = Field(
        default=0.04, gt=0.0, description="Divides the teacher's outputs: smaller than the student's to sharpen them."
    )
    momentum: float = Field(default=0.99, ge=0.0, lt=1.0, description="Memory of the teacher's weights per step.")
    centre_momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Memory of the teacher's centre per step.")

    @property
    def least_views(self) -> int:
        """One for the student, one for the teacher."""
        return 2

    def build(self, problem: Problem) -> Objective:
        """The student's head; the teacher comes with `attach`."""
        return Dino(problem.dim, self)


class Prototypes(nn.Module):
    """A projection head, and the cosines of its output with learned unit vectors."""

    def __init__(self, dim: int, config: DinoConfig):
        super().__init__()
        self.head = config.head(dim)
        self.directions = nn.Parameter(torch.randn(config.prototypes, config.head_dim))

    def forward(self, embedding: Tensor) -> Tensor:
        """Embedding (b, dim) -> (b, prototypes)."""
        return unit_vectors(self.head(embedding)) @ unit_vectors(self.directions).T


class Dino(Objective):
    """Student and teacher heads, the teacher's network, and the loss of arXiv:2104.14294, Eq. 3, over pairs of views.

    The teacher's weights are moving averages of the student's, its `centre` (prototypes,) one of its outputs (Eq. 4)
    over all rows of all processes.
    """

    centre: Tensor

    def __init__(self, dim: int, config: DinoConfig):
        super().__init__()
        self.config = config
        self.student = Prototypes(dim, config)
        self.teacher: nn.ModuleList | None = None
        self.register_buffer("centre", torch.zeros(config.prototypes))

    def attach(self, network: nn.Module) -> None:
        """The teacher starts as a copy of the student."""
        self.teacher = nn.ModuleList(copy.deepcopy(part) for part in (network, self.student)).requires_grad_(False)

    def after_step(self, network: nn.Module) -> None:
        """The teacher moves towards the student."""
        if self.teacher is not None:
            for teacher, student in zip(self.teacher, (network, self.student), strict=True):
                follow(teacher, student, self.config.momentum)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean cross-entropy in nats; moves the centre in training.

        NotFittedError without a network that was attached.
        """
        outputs = self._teacher_outputs(batch)
        teacher = ((outputs - self.centre) / self.config.teacher_temperature).softmax(dim=1)
        student = (self.student(embedding) / self.config.temperature).log_softmax(dim=1)
        loss = weighted_mean(
            distillation(views_of(teacher, batch), views_of(student, batch)), views_of(batch.weight, batch)[0]
        )
        if self.training:
            weight = batch.weight.float()
            sums = total(torch.cat([weight @ outputs, weight.sum()[None]]))
            mean = sums[:-1] / sums[-1].clamp_min(torch.finfo(sums.dtype).tiny)
            self.centre.lerp_(mean, 1.0 - self.config.centre_momentum)
        return loss

    @torch.no_grad()
    def _teacher_outputs(self, batch: Batch) -> Tensor:
        if self.teacher is None:
            raise NotFittedError("objective 'dino' has no teacher: call attach(network) before training")
        network, head = self.teacher.eval()
        outputs: Tensor = head(network(batch.objects, batch.present).float())
        return outputs


def distillation(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean over all pairs of different views of -sum_k P_t log P_s, (n,).

    Probabilities `teacher` and logarithms of probabilities `student`, each (V, n, prototypes).
    """
    views = len(teacher)
    pairs = -torch.einsum("vnk,unk->nvu", teacher, student)
    different = 1.0 - torch.eye(views, device=teacher.device)
    return (pairs * different).sum(dim=(1, 2)) / max(1, views * (views - 1))


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- momentum teacher + (1 - momentum) student, weight by weight; buffers are copied."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1.0 - momentum)
    for mine, theirs in zip(teacher.buffers(), student.buffers(), strict=True):
        mine.copy_(theirs)
