"""`deepsets`: a network on every object, a sum over the objects, a network on the sum (arXiv:1703.06114, Theorem 2)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from unseen.embed.encoders.base import Encoder, EncoderConfig
from unseen.embed.encoders.packing import exporting, pack
from unseen.embed.inputs import Fed
from unseen.embed.layers import ObjectEmbedding, perceptron
from unseen.events import Schema

__all__ = ["DeepSets", "DeepSetsConfig"]


class DeepSetsConfig(EncoderConfig):
    """Settings of `deepsets`."""

    by_multiplicity: ClassVar[bool] = True
    invariant: ClassVar[bool] = True

    name: Literal["deepsets"] = "deepsets"
    width: PositiveInt = Field(default=128, description="Width of all hidden layers and of the sum.")
    object_layers: int = Field(default=3, ge=1, description="Layers on every object.")
    event_layers: int = Field(default=2, ge=1, description="Hidden layers on the sum.")

    def build(self, schema: Schema, n_features: int | None = None, n_event: int = 0) -> Encoder:
        """The module for this schema."""
        return DeepSets(schema, n_features or schema.n_features, n_event, self)


class DeepSets(Encoder):
    """rho(sum_i phi(x_i, type_i), event): the sum keeps how many objects there are, and is 0 without any."""

    def __init__(self, schema: Schema, n_features: int, n_event: int, config: DeepSetsConfig):
        super().__init__()
        self.embed = ObjectEmbedding(schema, n_features, config.width)
        self.objects = nn.Sequential(
            nn.ReLU(), perceptron(config.width, (config.width,) * (config.object_layers - 1), config.width)
        )
        self.event = perceptron(config.width + n_event, (config.width,) * config.event_layers, config.dim)

    def forward(self, fed: Fed) -> Tensor:
        """The embedding (b, dim)."""
        embedding: Tensor = self.event(fed.beside(self.masked(fed) if exporting() else self.packed(fed)))
        return embedding

    def packed(self, fed: Fed) -> Tensor:
        """The sum over objects (b, width), computed for present ones only."""
        packing = pack(fed.present)
        rows = self.objects(self.embed(packing.take(fed.objects), packing.slot))
        return packing.events(packing.each(lambda x: x.sum(1), rows))

    def masked(self, fed: Fed) -> Tensor:
        """The same, computed for every slot."""
        slots = torch.arange(fed.present.shape[1], device=fed.present.device)
        x = self.objects(self.embed(fed.objects, slots))
        return torch.sum(x * fed.present[..., None].to(x.dtype), dim=1)
