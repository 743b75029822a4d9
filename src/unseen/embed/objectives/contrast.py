"""What contrastive losses share: cosine similarities, sums over positives, log-sums over the other events.

Nothing here is larger than (anchors, others): sums over positives go class by class, in O(b k).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["LARGE", "Gather", "log_sum", "log_weight", "positives", "unit_mean", "unit_vectors"]

Gather = Callable[[Tensor], Tensor]
# Stands for minus infinity where a gradient must stay finite.
LARGE = 1e30


def unit_vectors(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Rows of (b, k) at unit length, in float32; a zero vector stays zero, with a finite gradient."""
    x = x.float()
    return x * torch.rsqrt(x.square().sum(dim=1, keepdim=True) + epsilon**2)


def unit_mean(weight: Tensor) -> Tensor:
    """Weights (b,) >= 0 at mean 1; zeros if all are zero."""
    return weight / weight.mean().clamp_min(torch.finfo(weight.dtype).tiny)


def log_weight(weight: Tensor) -> Tensor:
    """Logarithm of weights (b,) >= 0, finite for 0."""
    return torch.where(weight > 0, weight.clamp_min(torch.finfo(weight.dtype).tiny).log(), -LARGE)


def positives(anchors: Tensor, others: Tensor, target: Tensor, w: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the positives p of every anchor i of w_p anchors_i . others_p and of w_p, each (b,).

    Positives are the other rows with the same `target` (m,). `others` (m, k) are the rows of all processes, `w` (m,)
    their weights, `here` (b,) where the anchors are among them. Both are exactly 0 for an anchor without positives.
    """
    classes, index = torch.unique(target, return_inverse=True)
    count = torch.bincount(index[w > 0], minlength=len(classes))
    vector_sum = others.new_zeros((len(classes), others.shape[1])).index_add(0, index, w[:, None] * others)
    weight_sum = w.new_zeros(len(classes)).index_add(0, index, w)
    own, mine = index[here], w[here]
    similarity = (anchors * vector_sum[own]).sum(dim=1) - mine * (anchors * others[here]).sum(dim=1)
    has_positive = count[own] > (mine > 0).long()
    # Rounding can leave a negative remainder where the anchor outweighs its class ten million times.
    weight = (weight_sum[own] - mine).clamp_min(0.0)
    return torch.where(has_positive, similarity, 0.0), torch.where(has_positive, weight, 0.0)


def log_sum(scaled: Tensor, others: Tensor, log_w: Tensor, here: Tensor) -> Tensor:
    """log sum_{a != i} w_a exp(scaled_i . others_a), (b,); the one quadratic step, so few passes over the matrix."""
    logits = torch.addmm(log_w[None, :], scaled, others.T)
    rows = torch.arange(len(scaled), device=scaled.device)
    logits[rows, here] = -LARGE
    return logits.logsumexp(dim=1)
