"""The loss of stage B: contrastive + alpha (systematic term) + beta (distillation)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.fine_tuning.closure import Residuals, residuals
from unseen.embed.fine_tuning.heads import HeadProblem
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms import Term
from unseen.embed.objectives import Objective

__all__ = ["CONTRASTIVE", "DISTILLATION", "StageB"]

CONTRASTIVE, DISTILLATION = "contrastive", "distillation"


class StageB(Objective):
    """The objective of stage A on nominal rows, a systematic term, and the distance to the embedding of stage A.

    `weights` by name: `contrastive`, that of the term, and `distillation`. `stage_a` (n, d) is the embedding of stage
    A of the whole sample, or None without distillation. For `head_epochs` the embedding itself is left alone.
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    stage_a: Tensor | None

    def __init__(
        self,
        contrastive: Objective,
        term: Term,
        head: HeadProblem,
        weights: dict[str, float],
        head_epochs: int,
        stage_a: Tensor | None,
    ):
        super().__init__()
        self.contrastive, self.term, self.weights, self.head_epochs = contrastive, term, weights, head_epochs
        for name, value in {"mean": head.mean, "deviation": head.deviation, "scale": head.scale}.items():
            self.register_buffer(name, value.clone(), persistent=False)
        self.register_buffer("stage_a", stage_a, persistent=False)

    def terms(self, z: Tensor, rows: PairedRows) -> dict[str, Tensor]:
        """The loss of every term by name, before its weight."""
        at = rows.contrast()
        nothing = z.sum() * 0.0
        found = {
            CONTRASTIVE: self.contrastive(z[at], rows.plain(at)) if len(at) > 1 else nothing,
            next(name for name in self.weights if name not in (CONTRASTIVE, DISTILLATION)): self.term(z, rows),
        }
        if self.stage_a is not None:
            found[DISTILLATION] = self._distance(z, rows, self.stage_a)
        return found

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """The weighted sum of the terms."""
        assert isinstance(batch, PairedRows)
        return self.total(self.terms(embedding, batch))

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()

    def residuals(self, z: Tensor, rows: PairedRows) -> tuple[Residuals, Residuals]:
        """What the ratio leaves, and what r = 1 would leave, of rows of held-out events."""
        before, after = rows.nominal(), rows.shifted()
        at = torch.cat([before, after])
        shifted = torch.arange(len(at), device=at.device) >= len(before)
        x, nu = (z[at] - self.mean) / self.deviation, rows.nu[at]
        log_r = self.term.log_ratio(z[at], nu, rows.process[at])
        parts = [
            residuals(x, nu / self.scale, value, rows.rate[at], shifted, rows.instance[at])
            for value in (log_r, torch.zeros_like(log_r))
        ]
        return parts[0], parts[1]

    def attach(self, network: nn.Module) -> None:
        """Attach the contrastive objective."""
        self.contrastive.attach(network)

    def after_step(self, network: nn.Module) -> None:
        """Tell the contrastive objective."""
        self.contrastive.after_step(network)

    def _distance(self, z: Tensor, rows: PairedRows, stage_a: Tensor) -> Tensor:
        """Mean over nominal events of |z - z_A|^2 / variance, per dimension."""
        at = rows.nominal()
        if not len(at):
            return z.sum() * 0.0
        away = (z[at] - stage_a.index_select(0, rows.instance[at])) / self.deviation
        return away.square().mean()
