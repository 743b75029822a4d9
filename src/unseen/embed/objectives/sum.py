"""`sum`: a weighted sum of objectives, e.g. a contrastive loss and 0.3 times a cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem
from unseen.embed.objectives.classifier import ClassifierConfig
from unseen.embed.objectives.copies import without_anomalies
from unseen.embed.objectives.supcon import SupConConfig
from unseen.registry import resolve

__all__ = ["Part", "Sum", "SumConfig"]


class Part(BaseModel):
    """One term of a sum."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: float = Field(default=1.0, gt=0.0, description="Factor of the loss of this objective.")
    objective: SerializeAsAny[ObjectiveConfig] = Field(description="A name, or a mapping with `name` and settings.")

    @field_validator("objective", mode="before")
    @classmethod
    def _objective(cls, value: Any) -> Any:
        # The registry holds `sum` itself.
        from unseen.embed.objectives import OBJECTIVES

        return resolve(value, OBJECTIVES, "objective")


class SumConfig(ObjectiveConfig):
    """Settings of `sum`. It needs what any of its parts needs."""

    name: Literal["sum"] = "sum"
    parts: tuple[Part, ...] = Field(
        default_factory=lambda: (Part(objective=SupConConfig()), Part(weight=0.3, objective=ClassifierConfig())),
        description="The terms: mappings of `weight` and `objective`; by default supcon and 0.3 times classifier.",
    )

    @field_validator("parts")
    @classmethod
    def _not_empty(cls, value: tuple[Part, ...]) -> tuple[Part, ...]:
        if not value:
            raise ValueError("a sum needs at least one part, e.g. [{weight: 1.0, objective: supcon}]")
        return value

    @property
    def needs_classes(self) -> bool:
        """Whether a part does."""
        return any(part.objective.needs_classes for part in self.parts)

    @property
    def least_views(self) -> int:
        """Enough for every part."""
        return max(part.objective.least_views for part in self.parts)

    @property
    def needs_anomalies(self) -> bool:
        """Whether a part does; the others do not see them."""
        return any(part.objective.needs_anomalies for part in self.parts)

    @property
    def needs_families(self) -> bool:
        """Whether a part does; the others do not see them."""
        return any(part.objective.needs_families for part in self.parts)

    @property
    def needs_parameters(self) -> bool:
        """Whether a part does."""
        return any(part.objective.needs_parameters for part in self.parts)

    def build(self, problem: Problem) -> Objective:
        """All parts, each with a head of its own."""
        return Sum(self.parts, problem)


class Sum(Objective):
    """sum_k weight_k L_k of its `parts`, which are named after their objectives (`supcon`, `supcon-2` for a second)."""

    def __init__(self, parts: Sequence[Part], problem: Problem):
        super().__init__()
        names = [part.objective.name for part in parts]
        counts = [names[:i].count(name) for i, name in enumerate(names)]
        self.names = [f"{name}-{n + 1}" if n else name for name, n in zip(names, counts, strict=True)]
        self.weights = [part.weight for part in parts]
        kinds = [part.objective for part in parts]
        self.sees_anomalies = [kind.needs_anomalies or kind.needs_families for kind in kinds]
        self.parts = nn.ModuleList(part.objective.build(problem) for part in parts)

    def losses(self, embedding: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The loss of every part by name, before its weight. Anomalous copies reach the parts that ask for them."""
        usual = without_anomalies(embedding, batch) if any(self.sees_anomalies) else (embedding, batch)
        rows = [(embedding, batch) if sees else usual for sees in self.sees_anomalies]
        return {name: part(*x) for name, part, x in zip(self.names, self.parts, rows, strict=True)}

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the weighted sum."""
        losses = self.losses(embedding, batch).values()
        return torch.stack([weight * loss for weight, loss in zip(self.weights, losses, strict=True)]).sum()

    def attach(self, network: nn.Module) -> None:
        """Attach every part."""
        for part in self._objectives():
            part.attach(network)

    def after_step(self, network: nn.Module) -> None:
        """Tell every part."""
        for part in self._objectives():
            part.after_step(network)

    def _objectives(self) -> list[Objective]:
        return [part for part in self.parts if isinstance(part, Objective)]
