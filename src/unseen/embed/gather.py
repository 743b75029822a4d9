"""Rows of all processes of a distributed training, so that a loss is that of the global batch.

The average over processes of losses built from `gather` and `total` has the gradient of the loss of the global batch:
distributed training averages gradients, and `gather` passes on those that reach a row in other processes.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

__all__ = ["gather", "rank", "total", "world_size"]


def rank() -> int:
    """The number of this process; 0 without distributed training."""
    return distributed.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """How many processes train together."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def gather(x: Tensor) -> Tensor:
    """Rows (b, ...) of every process in order of rank, (b of all, ...), with gradients to the rows of every process.

    Identity with one process. All processes must hold equally many rows.
    """
    if world_size() == 1:
        return x
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
    distributed.all_gather(parts, x.detach().contiguous())
    parts[rank()] = x
    gathered = torch.cat(parts)
    if gathered.grad_fn is not None:
        # Add up what every process asks of a row, before the rows of this one are cut out.
        gathered.grad_fn.register_prehook(lambda gradients: (total(gradients[0]),))
    return gathered


def total(x: Tensor) -> Tensor:
    """The sum of x over the processes, without gradients; x itself with one process."""
    x = x.detach()
    if world_size() == 1:
        return x
    x = x.clone()
    distributed.all_reduce(x)
    return x
