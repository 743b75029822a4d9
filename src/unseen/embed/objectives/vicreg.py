"""`vicreg`: variance, invariance, covariance (arXiv:2105.04906): pairs together, no feature dead, none a copy."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.data import Batch
from unseen.embed.gather import gather
from unseen.embed.objectives.base import Objective, Problem
from unseen.embed.objectives.contrast import unit_mean
from unseen.embed.objectives.copies import views_of
from unseen.embed.objectives.projection import ProjectionConfig

__all__ = ["VICReg", "VICRegConfig", "class_distance", "vicreg_loss", "view_distance"]


class VICRegConfig(ProjectionConfig):
    """Settings of `vicreg`."""

    name: Literal["vicreg"] = "vicreg"
    pairs: Literal["views", "class"] = Field(
        default="views",
        description="What is brought together. views: the views of an event. class: an event and another of its class.",
    )
    invariance: float = Field(default=25.0, ge=0.0, description="Weight of the squared distance of pairs (lambda).")
    variance: float = Field(default=25.0, ge=0.0, description="Weight of the hinge on the standard deviations (mu).")
    covariance: float = Field(default=1.0, ge=0.0, description="Weight of the squared covariances (nu).")

    @property
    def needs_classes(self) -> bool:
        """Only for pairs of a class."""
        return self.pairs == "class"

    @property
    def least_views(self) -> int:
        """Two, unless pairs are different events."""
        return 2 if self.pairs == "views" else 1

    def build(self, problem: Problem) -> Objective:
        """The projection head (the paper's expander) and the loss."""
        return VICReg(problem.dim, self)


class VICReg(Objective):
    """A projection head and the loss on its output."""

    def __init__(self, dim: int, config: VICRegConfig):
        super().__init__()
        self.config = config
        self.head = config.head(dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> lambda s + mu v + nu c of the rows of all processes."""
        c, z = self.config, self.head(embedding)
        if c.pairs == "class":
            z, weight = gather(z), gather(batch.weight)
            return vicreg_loss(
                z[None], weight, class_distance(z, gather(batch.target), weight), c.invariance, c.variance, c.covariance
            )
        # Events first, so that the rows of the processes can follow each other.
        views = gather(views_of(z, batch).transpose(0, 1)).transpose(0, 1)
        weight = gather(views_of(batch.weight, batch)[0])
        return vicreg_loss(views, weight, view_distance(views, weight), c.invariance, c.variance, c.covariance)


def vicreg_loss(
    views: Tensor, weight: Tensor, distance: Tensor, lam: float, mu: float, nu: float, epsilon: float = 1e-4
) -> Tensor:
    """Eq. 6 of arXiv:2105.04906 for two views Z (n, k) of n events: lam s + mu [v(Z) + v(Z')] + nu [c(Z) + c(Z')].

    v(Z) = 1/k sum_j max(0, 1 - sqrt(Var z_j + epsilon)) (Eq. 1) and c(Z) = 1/k sum_{i != j} Cov(z_i, z_j)^2 (Eq. 4);
    brackets are twice the mean over the `views` (V, n, k), whatever their number. s is the `distance`, a scalar.
    Moments are unbiased and weighted with `weight` (n,) >= 0.
    """
    w = unit_mean(weight.float()) / len(weight)
    z = views.float()
    z = z - (w[:, None] * z).sum(dim=1, keepdim=True)
    # 1 - sum w^2 is (n - 1) / n for equal weights; a batch of one has no variance.
    freedom = (w.sum() - w.square().sum()).clamp_min(torch.finfo(w.dtype).eps)
    covariance = (w[:, None] * z).transpose(1, 2) @ z / freedom
    variance = covariance.diagonal(dim1=1, dim2=2)
    hinge = (1.0 - (variance + epsilon).sqrt()).clamp_min(0.0).mean()
    off_diagonal = covariance - torch.diag_embed(variance)
    return lam * distance + 2.0 * mu * hinge + 2.0 * nu * off_diagonal.square().sum(dim=(1, 2)).mean() / z.shape[2]


def view_distance(views: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance per feature of two different views of an event, over events with `weight` (n,): a scalar.

    s of arXiv:2105.04906, algorithm 1, for `views` (2, n, k): Eq. 5 over k, without which the terms of Eq. 6 are not of
    one size and all features collapse. The mean over all pairs for more views.
    """
    z = views.float()
    # The mean over pairs of |z - z'|^2 is twice the unbiased variance of the views.
    spread = (z - z.mean(dim=0)).square().mean(dim=2).sum(dim=0) * 2.0 / max(1, len(z) - 1)
    return (unit_mean(weight.float()) * spread).mean()


def class_distance(z: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance per feature to another event of the class, over events with `weight` (n,): a scalar.

    The expectation over the partner, drawn in proportion to its weight, in closed form from the class means and
    variances; `z` (n, k), `target` (n,). An event alone in its class contributes 0.
    """
    z, w = z.float(), unit_mean(weight.float())
    classes, index = torch.unique(target, return_inverse=True)
    total = w.new_zeros(len(classes)).index_add(0, index, w)
    tiny = torch.finfo(w.dtype).tiny
    mean = z.new_zeros((len(classes), z.shape[1])).index_add(0, index, w[:, None] * z) / total.clamp_min(tiny)[:, None]
    square = (z - mean[index]).square().mean(dim=1)
    scatter = w.new_zeros(len(classes)).index_add(0, index, w * square)
    rest = total[index] - w
    has_partner = rest > torch.finfo(w.dtype).eps * total[index]
    distance = (total[index] * square + scatter[index]) / torch.where(has_partner, rest, 1.0)
    return (w * torch.where(has_partner, distance, 0.0)).mean()
