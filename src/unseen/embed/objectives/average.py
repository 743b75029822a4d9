"""The weighted mean of a loss over the rows of all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from unseen.embed.gather import total, world_size

__all__ = ["weighted_mean"]


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """This process's share of sum_i w_i v_i / sum_i w_i over the rows of all processes, values and weight (b,).

    The average of the shares over the processes is that mean. 0 without any weight.
    """
    weight = weight.float()
    scale = total(weight.sum()) / world_size()
    return (weight * values).sum() / scale.clamp_min(torch.finfo(weight.dtype).tiny)
