"""Rows of all processes of a distributed training, so that a contrastive loss sees the global batch."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

__all__ = ["gather", "rank"]


def rank() -> int:
    """The number of this process; 0 without distributed training."""
    return distributed.get_rank() if _several() else 0


def gather(x: Tensor) -> Tensor:
    """Rows (b, ...) of every process in order of rank, (b of all, ...); gradients flow to this process's rows.

    Identity with one process. All processes must hold equally many rows.
    """
    if not _several():
        return x
    parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, x.contiguous().detach())
    parts[distributed.get_rank()] = x
    return torch.cat(parts)


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
