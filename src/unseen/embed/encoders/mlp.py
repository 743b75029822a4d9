"""`mlp`: a multilayer perceptron on the flattened slots.

For the ADC2021 layout 57-96-64-48-d, and 19 further inputs that say which objects are present.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from unseen.embed.encoders.base import Encoder, EncoderConfig
from unseen.embed.inputs import Fed
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

    def build(self, schema: Schema, n_features: int | None = None, n_event: int = 0) -> Encoder:
        """The module for this schema."""
        return Mlp(schema.n_slots, n_features or schema.n_features, n_event, self)


class Mlp(Encoder):
    """Slots in a fixed order, absent ones as zeros (the mean of their type), through fully connected layers."""

    def __init__(self, n_slots: int, n_features: int, n_event: int, config: MlpConfig):
        super().__init__()
        self.mask_inputs = config.mask_inputs
        width = n_slots * (n_features + config.mask_inputs) + n_event
        self.layers = perceptron(width, config.hidden, config.dim)

    def forward(self, fed: Fed) -> Tensor:
        """The embedding (b, dim)."""
        x = fed.objects.flatten(1)
        if self.mask_inputs:
            x = torch.cat([x, fed.present.to(x.dtype)], dim=1)
        embedding: Tensor = self.layers(fed.beside(x))
        return embedding
