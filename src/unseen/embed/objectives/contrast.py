"""What contrastive losses share: cosine similarities, sums over positives, log-sums over the other events.

Nothing here is larger than (anchors, others): sums over positives go class by class, in O(b k).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["LARGE", "Gather", "log_sum", "log_weight", "positives", "unit_mean", "unit_vectors"]

Gather = Callable[[Tensor], Tensor]
# Stands for minus infinity where a gradient must stay finite.
LARGE = 1e30
ROWS_IN_CACHE = 128  # of a matrix with some thousand columns


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
    """log sum_{a != i} w_a exp(scaled_i . others_a), (b,): the one quadratic step. `log_w` gets no gradient.

    The matrix is filled block by block while it is in the cache, and kept as it is for the gradient: automatic
    differentiation would pass over it several more times.
    """
    apply: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = _LogSum.apply
    return apply(scaled, others, log_w, here)


class _LogSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scaled: Tensor, others: Tensor, log_w: Tensor, here: Tensor) -> Tensor:
        terms = scaled.new_empty((len(scaled), len(others)))
        largest, total = scaled.new_empty(len(scaled)), scaled.new_empty(len(scaled))
        rows = torch.arange(len(scaled), device=scaled.device)
        size = ROWS_IN_CACHE if scaled.device.type == "cpu" else len(scaled)
        for start in range(0, len(scaled), size):
            part = slice(start, min(start + size, len(scaled)))
            inside = torch.addmm(log_w[None, :], scaled[part], others.T, out=terms[part])
            inside[rows[: len(inside)], here[part]] = -LARGE
            torch.amax(inside, dim=1, out=largest[part])
            inside.sub_(largest[part, None]).exp_()
            torch.sum(inside, dim=1, out=total[part])
        ctx.save_for_backward(scaled, others, terms, total)
        return largest + total.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        scaled, others, terms, total = ctx.saved_tensors
        share = (gradient / total)[:, None]
        return share * (terms @ others), terms.T @ (share * scaled), None, None
