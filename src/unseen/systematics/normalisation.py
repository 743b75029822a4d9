"""`normalisation`: the number of expected events, of all or of some processes."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.systematics.base import Kind, NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["NormalisationConfig"]


class NormalisationConfig(NuisanceConfig):
    """Weights times (1 + size)^nu (log-normal: +size at nu = 1, never negative), of all events or of some processes.

    Events without these processes, such as a signal's, stay as they are: `NuisanceSet.check` looks for wrong names.
    """

    kind: ClassVar[Kind] = "norm"
    about: ClassVar[str] = "expected number of events: luminosity, cross sections"

    name: Literal["normalisation"] = "normalisation"
    size: float = Field(default=0.05, gt=0.0, lt=10.0, description="Relative change at nu = 1.")
    processes: tuple[str, ...] | None = Field(default=None, min_length=1, description="Which processes; null: all.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The label, if only some processes change."""
        return ("label",) if self.processes else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The processes, if only some change."""
        return self.processes or ()

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Weight every event."""
        change = math.log1p(self.size) * nu
        if not self.processes:
            return batch.reweight(change)
        label = batch.column("label", self.parameter)
        mine = torch.zeros_like(label, dtype=torch.bool)
        for name in {*self.processes} & {*batch.classes}:
            mine = mine | (label == batch.classes.index(name))
        return batch.reweight(torch.where(mine, change, 0.0))
