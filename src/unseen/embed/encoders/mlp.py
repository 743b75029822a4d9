"""`mlp`: a multilayer perceptron on the flattened slots.

For the ADC2021 layout 57-96-64-48-d, and 19 further inputs that say which objects are present.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from unseen.embed.encoders.base import EncoderConfig
from unseen.embed.layers import perceptron
from unseen.events import Schema

__all__ = ["Mlp", "MlpConfig"]


class MlpConfig(EncoderConfig):
    """Settings of `mlp`."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[PositiveInt, ...] = Field(default=(96, 64, 48), description="Width of every hidden layer.")
    mask_inputs: bool = Field(
        default=True,
        description="One more input per slot: 1 if the object is present, else 0. Without it an absent object looks "
        "like an average one.",
    )

    def build(self, schema: Schema) -> nn.Module:
        """The module for this schema."""
        return Mlp(schema.n_slots, schema.n_features, self)


class Mlp(nn.Module):
    """Slots in a fixed order, absent ones as zeros (the mean of their type), through fully connected layers."""

    def __init__(self, n_slots: int, n_features: int, config: MlpConfig):
        super().__init__()
        self.mask_inputs = config.mask_inputs
        width = n_slots * (n_features + config.mask_inputs)
        self.layers = perceptron(width, config.hidden, config.dim)

    def forward(self, objects: Tensor, present: Tensor) -> Tensor:
        """(b, slots, features), (b, slots) -> (b, dim)."""
        x = torch.where(present[..., None], objects, torch.zeros((), device=objects.device)).flatten(1)
        if self.mask_inputs:
            x = torch.cat([x, present.to(x.dtype)], dim=1)
        embedding: Tensor = self.layers(x)
        return embedding
