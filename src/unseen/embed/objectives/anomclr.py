"""`anomclr`: AnomalyCLR (arXiv:2301.04660): views of an event together, its anomalous copy away from it."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import LARGE, log_weight, unit_mean, unit_vectors
from unseen.embed.objectives.copies import anomalies_of, views_of
from unseen.embed.objectives.projection import ProjectionConfig

__all__ = ["AnomCLR", "AnomCLRConfig", "pair_terms"]


class AnomCLRConfig(ProjectionConfig):
    """Settings of `anomclr`."""

    name: Literal["anomclr"] = "anomclr"
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the cosine similarities.")
    plus: bool = Field(
        default=False, description="AnomCLR+: leave out the other events, in time linear in the size of the batch."
    )

    @property
    def least_views(self) -> int:
        """Two views that belong together."""
        return 2

    @property
    def needs_anomalies(self) -> bool:
        """The copy that does not belong to them."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return AnomCLR(problem.dim, self)


class AnomCLR(Objective):
    """A projection head and, on its output, the losses of arXiv:2301.04660.

    L_i = -[s(z_i, z_i') - s(z_i, z_i*)] / tau, and without `plus` also + log sum_j w_j exp(s_ij / tau), for every view
    i as the anchor; z_i' is the other view (the mean of s over them if there are more), z_i* the anomalous copy, s the
    cosine similarity. j runs over the views of the other events in the batch, but not over anomalies; an anchor without
    other events has no such sum. The mean is weighted with w, at mean 1.
    """

    def __init__(self, dim: int, config: AnomCLRConfig):
        super().__init__()
        self.temperature, self.plus = config.temperature, config.plus
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss. ShapeError if the batch has no anomalous copies."""
        z = unit_vectors(self.head(embedding))
        views, anomalies = views_of(z, batch), anomalies_of(z, batch)
        weight = views_of(batch.weight, batch).flatten()
        per_anchor = -pair_terms(views, anomalies).flatten() / self.temperature
        if not self.plus:
            anchors, origin = views.flatten(0, 1), views_of(batch.origin, batch).flatten()
            per_anchor = per_anchor + log_sum_of_other_events(anchors, origin, weight, self.temperature)
        return weighted_mean(per_anchor, weight)


def pair_terms(views: Tensor, anomalies: Tensor) -> Tensor:
    """s(z_i, z_i') - s(z_i, z_i*), (V, n), for unit vectors of `views` (V, n, k) and their `anomalies` (n, k)."""
    together = (views * views.sum(dim=0)).sum(dim=2) - views.square().sum(dim=2)
    return together / max(1, len(views) - 1) - (views * anomalies).sum(dim=2)


def log_sum_of_other_events(anchors: Tensor, origin: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """log sum_j w_j exp(s_ij / tau) over the rows j of other events of all processes, (b,); 0 if there are none.

    Unit vectors `anchors` (b, k), which event they are of `origin` (b,), their `weight` (b,).
    """
    others, w, events = gather(anchors), unit_mean(gather(weight.float())), gather(origin)
    logits = torch.addmm(log_weight(w)[None, :], anchors / temperature, others.T)
    logits = logits.masked_fill(origin[:, None] == events[None, :], -LARGE)
    sums = logits.logsumexp(dim=1)
    # Weightless rows are at -LARGE too.
    return torch.where(sums > -0.5 * LARGE, sums, 0.0)
