"""`exposure`: what tells known events from each of many families of made-up anomalies (arXiv:1812.04606)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn.functional import softplus

from unseen.embed.data import Batch
from unseen.embed.gather import total, world_size
from unseen.embed.layers import perceptron
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem

__all__ = ["Exposure", "ExposureConfig"]


class ExposureConfig(ObjectiveConfig):
    """Settings of `exposure`."""

    name: Literal["exposure"] = "exposure"
    hidden: tuple[PositiveInt, ...] = Field(
        default=(), description="Hidden layers between embedding and odds; without one the log-odds are linear in it."
    )

    @property
    def needs_families(self) -> bool:
        """They are what known events are told from."""
        return True

    def build(self, problem: Problem) -> Objective:
        """The odds."""
        return Exposure(problem, self)


class Exposure(Objective):
    """One log-odds f_k(z) for each family k against the known events, all read off the same embedding.

    L = mean over k of [ <log(1 + exp f_k)> over known events + <log(1 + exp -f_k)> over family k ]. Its minimum is
    f_k = log p_k / p_known at equal priors: the embedding has to keep what every one of these likelihood ratios
    needs. Families are not told from each other, which would spend the few dimensions on differences between things
    that do not exist. Outlier exposure (Hendrycks et al.) has one family and one score.
    """

    def __init__(self, problem: Problem, config: ExposureConfig):
        super().__init__()
        self.head = perceptron(problem.dim, config.hidden, problem.n_families)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) of known events (family -1) and of made-up ones -> the mean of the cross-entropies."""
        odds = self.head(embedding)
        known = batch.family < 0
        loss = weighted_mean(softplus(odds).mean(dim=1), batch.weight * known)
        own = batch.family.clamp_min(0)
        per_row = softplus(-odds.gather(1, own[:, None])[:, 0])
        weight = torch.where(known, 0.0, batch.weight.float())
        sums = weight.new_zeros(odds.shape[1]).index_add(0, own, weight * per_row)
        counts = total(weight.new_zeros(odds.shape[1]).index_add(0, own, weight)) / world_size()
        seen = counts > 0
        means = torch.where(seen, sums / torch.where(seen, counts, 1.0), 0.0)
        return loss + means.sum() / seen.sum().clamp_min(1)
