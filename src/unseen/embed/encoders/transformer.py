"""`transformer`: pre-norm self-attention among the objects of an event; `pair-transformer` adds a pairwise bias.

arXiv:1706.03762 (attention), 2002.04745 (pre-norm), 2202.03772 (bias from log m_ij and delta R_ij, equation 4).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from unseen.embed.encoders.attention import Layer, attention, masked_attention
from unseen.embed.encoders.base import Encoder, EncoderConfig
from unseen.embed.encoders.packing import Packing, exporting, pack
from unseen.embed.encoders.pair_bias import PairBias
from unseen.embed.inputs import Fed
from unseen.embed.layers import ObjectEmbedding, perceptron
from unseen.events import Schema

__all__ = ["PairTransformerConfig", "Transformer", "TransformerConfig"]


class _Settings(EncoderConfig):
    by_multiplicity: ClassVar[bool] = True
    invariant: ClassVar[bool] = True

    width: PositiveInt = Field(default=64, description="Numbers per object inside; a multiple of `heads`.")
    layers: PositiveInt = Field(default=4, description="Attention layers.")
    heads: PositiveInt = Field(default=8, description="Attention heads.")
    feed_forward: PositiveInt = Field(default=256, description="Width of the hidden layer of every feed-forward part.")
    pooling: Literal["cls", "mean"] = Field(
        default="cls", description="cls: read off one more token that attends to all objects; mean: of the objects."
    )

    @model_validator(mode="after")
    def _divisible(self) -> _Settings:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    def bias(self, schema: Schema) -> PairBias | None:
        """The untrained network of the pairwise bias, if any."""
        return None

    def build(self, schema: Schema, n_features: int | None = None, n_event: int = 0) -> Encoder:
        """The module for this schema."""
        return Transformer(schema, n_features or schema.n_features, n_event, self)


class TransformerConfig(_Settings):
    """Settings of `transformer`."""

    name: Literal["transformer"] = "transformer"


class PairTransformerConfig(_Settings):
    """Settings of `pair-transformer`."""

    needs_pairs: ClassVar[bool] = True

    name: Literal["pair-transformer"] = "pair-transformer"
    pair_hidden: PositiveInt = Field(default=32, description="Hidden width of the network from pair features to bias.")

    def bias(self, schema: Schema) -> PairBias | None:
        """The network of the bias."""
        return PairBias(schema, self.pair_hidden, self.heads)


class Transformer(Encoder):
    """Objects of all types attend to each other; a type is told by a learned vector, a slot's number by nothing.

    Features of the event join after pooling. Only present objects are computed, except in an exported graph, which
    masks absent ones instead.
    """

    def __init__(self, schema: Schema, n_features: int, n_event: int, config: _Settings):
        super().__init__()
        self.heads = config.heads
        self.embed = ObjectEmbedding(schema, n_features, config.width)
        self.token = nn.Parameter(0.02 * torch.randn(config.width)) if config.pooling == "cls" else None
        self.layers = nn.ModuleList(Layer(config.width, config.feed_forward) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        hidden = (config.width,) if n_event else ()
        self.readout = perceptron(config.width + n_event, hidden, config.dim)
        self.bias = config.bias(schema)

    def forward(self, fed: Fed) -> Tensor:
        """The embedding (b, dim)."""
        pooled = self.masked(fed) if exporting() else self.packed(fed)
        embedding: Tensor = self.readout(fed.beside(self.norm(pooled)))
        return embedding

    def packed(self, fed: Fed) -> Tensor:
        """The pooled events (b, width), computed from present objects only."""
        packing = pack(fed.present)
        x = self.embed(packing.take(fed.objects), packing.slot)
        bias = self._packed_bias(fed, packing)
        if self.token is not None:
            packing, x = self._with_token(packing, x)
        for layer in self.layers:
            x = layer(x, lambda qkv: self._attend(qkv, packing, bias))
        pool = _first if self.token is not None else _mean
        return packing.events(packing.each(pool, x))

    def _with_token(self, packing: Packing, x: Tensor) -> tuple[Packing, Tensor]:
        """The rows with the token as first object of every event; event and slot of the packing are not used after."""
        assert self.token is not None
        token = self.token.to(x.dtype)
        parts = packing.each(lambda part: torch.cat([token.expand(len(part), 1, -1), part], dim=1).flatten(0, 1), x)
        groups = tuple((n, m + 1) for n, m in packing.groups)
        return Packing(packing.event, packing.slot, groups, packing.back), torch.cat(parts)

    def _attend(self, qkv: Tensor, packing: Packing, bias: list[Tensor] | None) -> Tensor:
        """Attention within every event, one group after the other."""
        biases = iter(bias) if bias is not None else None
        parts = packing.each(
            lambda part: attention(part, self.heads, next(biases) if biases else None).flatten(0, 1), qkv
        )
        return torch.cat(parts)

    def _packed_bias(self, fed: Fed, packing: Packing) -> list[Tensor] | None:
        if self.bias is None:
            return None
        objects, transverse = self.bias.select(packing.take(fed.physical), packing.slot)
        rows = torch.cat([objects, transverse[:, None].to(objects.dtype)], dim=1)
        bias = self.bias
        extra = int(self.token is not None)
        return packing.each(lambda x: bias(x[..., :3], x[..., 3] > 0, fed.pair_scale, extra), rows)

    def masked(self, fed: Fed) -> Tensor:
        """The same, computed for every slot."""
        slots = torch.arange(fed.present.shape[1], device=fed.present.device)
        x, present, bias = self.embed(fed.objects, slots), fed.present, None
        if self.bias is not None:
            objects, transverse = self.bias.select(fed.physical, slots)
            extra = int(self.token is not None)
            bias = self.bias(objects, transverse.expand_as(present), fed.pair_scale, extra)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], 1, -1), x], dim=1)
            present = torch.cat([torch.ones_like(present[:, :1]), present], dim=1)
        for layer in self.layers:
            x = layer(x, lambda qkv: masked_attention(qkv, self.heads, present, bias))
        if self.token is not None:
            return _first(x)
        there = present[..., None].to(x.dtype)
        return torch.sum(x * there, dim=1) / torch.clamp(there.sum(1), min=1)


def _first(x: Tensor) -> Tensor:
    return x[:, 0]


def _mean(x: Tensor) -> Tensor:
    return x.mean(1) if x.shape[1] else x.sum(1)
