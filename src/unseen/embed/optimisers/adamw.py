"""`adamw`: Adam with decoupled weight decay (arXiv:1711.05101)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.optimisers.base import OptimiserConfig

__all__ = ["AdamWConfig"]


class AdamWConfig(OptimiserConfig):
    """Settings of `adamw`."""

    name: Literal["adamw"] = "adamw"
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="Decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="Decay of the mean of its square.")

    def build(self, parameters: Sequence[Tensor], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """PyTorch's implementation, all arithmetic of a step in one pass."""
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
