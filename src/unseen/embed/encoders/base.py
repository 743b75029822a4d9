"""What every encoder has in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from unseen.embed.inputs import Fed
from unseen.events import Schema
from unseen.registry import NamedConfig

__all__ = ["Encoder", "EncoderConfig"]


class Encoder(nn.Module):
    """Maps what the inputs feed to the embedding (b, dim): before any projection head, not normalised to unit length.

    Absent objects must not influence it, and an event without any object must give finite numbers.
    """

    @abstractmethod
    def forward(self, fed: Fed) -> Tensor:
        """The embedding (b, dim)."""


class EncoderConfig(NamedConfig):
    """Settings of one encoder, and how to build it."""

    by_multiplicity: ClassVar[bool] = False  # the cost of an event grows with its objects: alike events share a pass
    needs_pairs: ClassVar[bool] = False  # whether it uses `Fed.pair_scale`
    invariant: ClassVar[bool] = False  # the order of objects of one type does not matter

    dim: int = Field(default=4, gt=0, description="Numbers per event in the embedding.")

    @abstractmethod
    def build(self, schema: Schema, n_features: int | None = None, n_event: int = 0) -> Encoder:
        """The untrained module for events of this schema; initial weights come from torch's current generator.

        It is fed `n_features` numbers per object (None: as many as the schema has) and `n_event` per event.
        """
