"""One step of stage B under Lightning: that of a training, with the terms of the loss noted one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unseen.embed.bookkeeping import Bookkeeping
from unseen.embed.data import Batch
from unseen.embed.fine_tuning.closure import Residuals, mean_squared_pull
from unseen.embed.fine_tuning.objective import StageB
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.loop import TrainingModule
from unseen.embed.objectives import Objective

__all__ = ["FineTuneModule"]


class FineTuneModule(TrainingModule):
    """For the first `head_epochs` only the heads learn: new ones would first tear at a trained encoder."""

    def __init__(self, network: nn.Module, objective: Objective, expand: nn.Module, book: Bookkeeping, steps: int):
        super().__init__(network, objective, expand, book, steps)
        assert isinstance(objective, StageB)
        self.stage = objective
        self.terms: dict[str, list[Tensor]] = {}
        self.residuals: list[tuple[Residuals, Residuals]] = []

    def loss(self, rows: Batch) -> Tensor:
        """The weighted sum of the terms."""
        assert isinstance(rows, PairedRows)
        embedding = self.network(rows.objects, rows.present)
        if self.training and self.book.epoch < self.stage.head_epochs:
            embedding = embedding.detach()
        with torch.autocast(self.device.type, enabled=False):
            z = embedding.float()
            terms = self.stage.terms(z, rows)
            kind = "train" if self.training else "val"
            for name, value in terms.items():
                self.terms.setdefault(f"{kind}_{name}", []).append(value.detach())
            if not self.training:
                self.residuals.append(self.stage.residuals(z, rows))
            return self.stage.total(terms)

    def measured(self) -> dict[str, float | None]:
        """The mean of every term, and the closure of held-out events with the ratio and with r = 1."""
        means: dict[str, float | None] = {
            name: float(torch.stack(values).double().mean()) for name, values in self.terms.items()
        }
        if self.residuals:
            learned, unweighted = zip(*self.residuals, strict=True)
            means |= {"val_closure": mean_squared_pull(learned), "val_shift": mean_squared_pull(unweighted)}
        self.terms, self.residuals = {}, []
        return means
