"""`supcon`: supervised contrastive loss (arXiv:2004.11362): events of a class together, other classes apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.layers import perceptron
from unseen.embed.objectives.base import Objective, ObjectiveConfig
from unseen.events import Schema

__all__ = ["SupCon", "SupConConfig", "supcon_loss", "unit_vectors"]

Gather = Callable[[Tensor], Tensor]


class SupConConfig(ObjectiveConfig):
    """Settings of `supcon`."""

    needs_classes: ClassVar[bool] = True

    name: Literal["supcon"] = "supcon"
    temperature: float = Field(default=0.9, gt=0.0, description="Divides the cosine similarities.")
    head_hidden: tuple[PositiveInt, ...] = Field(default=(64,), description="Hidden layers of the projection head.")
    head_dim: int = Field(default=80, gt=0, description="Output width of the projection head.")

    def build(self, dim: int, n_classes: int, schema: Schema) -> Objective:
        """The projection head and the loss."""
        return SupCon(dim, self)


class SupCon(Objective):
    """A projection head and the loss on its output."""

    def __init__(self, dim: int, config: SupConConfig):
        super().__init__()
        self.temperature = config.temperature
        self.head: nn.Module = perceptron(dim, config.head_hidden, config.head_dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss."""
        return supcon_loss(self.head(embedding), batch.target, batch.weight, self.temperature)


def unit_vectors(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Rows of (b, k) at unit length, in float32; a zero vector stays zero, with a finite gradient."""
    x = x.float()
    return x * torch.rsqrt(x.square().sum(dim=1, keepdim=True) + epsilon**2)


def supcon_loss(
    projected: Tensor,
    target: Tensor,
    weight: Tensor,
    temperature: float,
    gather: Gather = lambda x: x,
    rank: int = 0,
) -> Tensor:
    """L_out of arXiv:2004.11362, Eq. 2, averaged over the anchors instead of summed.

    L_i = -sum_{p in P(i)} w_p log[ exp(s_ip / tau) / sum_{a != i} w_a exp(s_ia / tau) ] / sum_{p in P(i)} w_p and
    L = sum_i w_i L_i / sum_i w_i, with s the cosine similarity of `projected` (b, k), P(i) the other events with the
    `target` (b,) of i, and w the `weight` (b,) >= 0 at mean 1, so equal weights give Eq. 2. An anchor without positives
    contributes 0. `gather` brings the rows of every process (identity here); `rank` is this process among them.
    """
    anchors = unit_vectors(projected)
    others, other_target, w = gather(anchors), gather(target), gather(weight.float())
    w = w / w.mean().clamp_min(torch.finfo(w.dtype).tiny)
    here = torch.arange(len(anchors), device=anchors.device) + rank * len(anchors)
    valid = (torch.arange(len(others), device=anchors.device) != here[:, None]) & (w > 0)
    logits = anchors @ others.T / temperature
    masked = (logits + _safe_log(w)).masked_fill(~valid, torch.finfo(logits.dtype).min)
    log_probability = logits - masked.logsumexp(dim=1, keepdim=True)
    positive = valid & (target[:, None] == other_target)
    share = w * positive
    share = share / share.sum(dim=1, keepdim=True).clamp_min(torch.finfo(w.dtype).tiny)
    # `where` first: 0 times the infinite log-probability of a row without valid entries would be NaN.
    per_anchor = -(share * torch.where(positive, log_probability, 0.0)).sum(dim=1)
    mine = w[here]
    return (mine * per_anchor).sum() / mine.sum().clamp_min(torch.finfo(w.dtype).tiny)


def _safe_log(w: Tensor) -> Tensor:
    return w.clamp_min(torch.finfo(w.dtype).tiny).log()
