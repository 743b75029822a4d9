"""What every optimiser has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from unseen.registry import NamedConfig

__all__ = ["OptimiserConfig"]


class OptimiserConfig(NamedConfig):
    """Settings of one optimiser beside the learning rate and the weight decay, which all have, and how to build it."""

    @abstractmethod
    def build(self, parameters: Sequence[Tensor], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The optimiser of these parameters at its highest learning rate."""
