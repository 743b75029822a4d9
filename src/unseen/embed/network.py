"""Inputs and encoder as one module: physical objects in, embedding out."""

from __future__ import annotations

from torch import Tensor, nn

from unseen.embed.encoders import EncoderConfig
from unseen.embed.inputs import Inputs, InputsConfig, PlainConfig, Scaling, plain_scaling, scaled_inputs
from unseen.events import Schema
from unseen.events.normalisation import Normalisation

__all__ = ["Network"]


class Network(nn.Module):
    """Objects (b, slots, features) in physical units and present (b, slots) -> embedding (b, dim).

    The one path for training, embedding and export.
    """

    def __init__(self, inputs: Inputs, encoder: nn.Module):
        super().__init__()
        self.inputs = inputs
        self.encoder = encoder

    @classmethod
    def build(
        cls,
        encoder: EncoderConfig,
        schema: Schema,
        normalisation: Normalisation,
        inputs: InputsConfig | None = None,
        scaling: Scaling | None = None,
    ) -> Network:
        """The untrained network; initial weights come from torch's current generator.

        `plain` inputs are the default, and take their scaling from the normalisation unless it is given.
        """
        scaling = plain_scaling(normalisation) if scaling is None else scaling
        fed = scaled_inputs(inputs or PlainConfig(), schema, normalisation.log_pt, scaling)
        return cls(fed, encoder.build(schema, fed.n_features, fed.n_event))

    def forward(self, objects: Tensor, present: Tensor) -> Tensor:
        """Scale and encode."""
        embedding: Tensor = self.encoder(self.inputs(objects, present))
        return embedding
