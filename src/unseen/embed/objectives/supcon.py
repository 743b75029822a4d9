"""`supcon`: supervised contrastive loss (arXiv:2004.11362): events of a class together, other classes apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.gather import gather, rank
from unseen.embed.layers import perceptron
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem

__all__ = ["SupCon", "SupConConfig", "supcon_loss", "unit_vectors"]

Gather = Callable[[Tensor], Tensor]
# Stands for minus infinity where a gradient must stay finite.
LARGE = 1e30


class SupConConfig(ObjectiveConfig):
    """Settings of `supcon`."""

    needs_classes: ClassVar[bool] = True

    name: Literal["supcon"] = "supcon"
    temperature: float = Field(default=0.1, gt=0.0, description="Divides the cosine similarities.")
    head_hidden: tuple[PositiveInt, ...] = Field(default=(64,), description="Hidden layers of the projection head.")
    head_dim: int = Field(default=52, gt=0, description="Output width of the projection head.")

    def build(self, problem: Problem) -> Objective:
        """The projection head and the loss."""
        return SupCon(problem.dim, self)


class SupCon(Objective):
    """A projection head and the loss on its output."""

    def __init__(self, dim: int, config: SupConConfig):
        super().__init__()
        self.temperature = config.temperature
        self.head: nn.Module = perceptron(dim, config.head_hidden, config.head_dim)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss."""
        return supcon_loss(self.head(embedding), batch.target, batch.weight, self.temperature, gather, rank())


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
    others, w = gather(anchors), gather(weight.float())
    tiny = torch.finfo(w.dtype).tiny
    w = w / w.mean().clamp_min(tiny)
    here = torch.arange(len(anchors), device=anchors.device) + rank * len(anchors)
    mine = w[here]
    mean_similarity, has_positive = _positives(anchors, others, gather(target), w, here)
    # Numerically safe: rows without any other event stay finite here, and `has_positive` drops them below.
    log_w = torch.where(w > 0, w.clamp_min(tiny).log(), -LARGE)
    log_sum = _log_sum_of_others(anchors / temperature, others, log_w, here)
    per_anchor = torch.where(has_positive, log_sum - mean_similarity / temperature, 0.0)
    return (mine * per_anchor).sum() / mine.sum().clamp_min(tiny)


def _positives(anchors: Tensor, others: Tensor, target: Tensor, w: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean similarity of every anchor to its positives (b,), and whether it has any; by sums per class."""
    classes, index = torch.unique(target, return_inverse=True)
    count = torch.bincount(index[w > 0], minlength=len(classes))
    vector_sum = others.new_zeros((len(classes), others.shape[1])).index_add(0, index, w[:, None] * others)
    weight_sum = torch.zeros_like(w[: len(classes)]).index_add(0, index, w)
    own, mine = index[here], w[here]
    similarity = (anchors * vector_sum[own]).sum(dim=1) - mine * (anchors * others[here]).sum(dim=1)
    weight = weight_sum[own] - mine
    has_positive = count[own] - (mine > 0).long() > 0
    return similarity / torch.where(has_positive, weight, 1.0), has_positive


def _log_sum_of_others(scaled: Tensor, others: Tensor, log_w: Tensor, here: Tensor) -> Tensor:
    """log sum_{a != i} w_a exp(scaled_i . others_a), (b,); the one quadratic step, so few passes over the matrix."""
    logits = torch.addmm(log_w[None, :], scaled, others.T)
    rows = torch.arange(len(scaled), device=scaled.device)
    logits[rows, here] = -LARGE
    return logits.logsumexp(dim=1)
