"""One pre-norm transformer layer on rows of objects; who attends to whom is decided outside (arXiv:2002.04745)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["Layer", "attention", "masked_attention"]

Attend = Callable[[Tensor], Tensor]


class Layer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), on (..., width)."""

    def __init__(self, width: int, feed_forward: int):
        super().__init__()
        self.before_attention, self.before_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, feed_forward), nn.ReLU(), nn.Linear(feed_forward, width))

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """`attend` maps queries, keys and values (..., 3 width) side by side to (..., width)."""
        x = x + self.out(attend(self.query_key_value(self.before_attention(x))))
        result: Tensor = x + self.feed_forward(self.before_feed_forward(x))
        return result


def attention(qkv: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Attention among all m objects of an event: (n, m, 3 width), bias (n, heads, m, m) -> (n, m, width)."""
    q, k, v = _split(qkv, heads)
    return scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)


def masked_attention(qkv: Tensor, heads: int, present: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same, to present objects (n, m) only. Written out, so that every exporter knows its operations.

    The weights of absent objects underflow to exactly 0 unless all are absent, where nobody looks at the result.
    """
    q, k, v = _split(qkv, heads)
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
    scores = scores if bias is None else scores + bias
    scores = scores + (present.to(scores.dtype) - 1)[:, None, None] * 1e9
    return (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)


def _split(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, each (n, heads, m, width of a head)."""
    n, m, width = qkv.shape
    q, k, v = qkv.reshape(n, m, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v
