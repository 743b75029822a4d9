"""What every encoder has in common."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field
from torch import nn

from unseen.events import Schema
from unseen.registry import NamedConfig

__all__ = ["EncoderConfig"]


class EncoderConfig(NamedConfig):
    """Settings of one encoder, and how to build it.

    The module maps normalised objects (b, slots, features) and present (b, slots) to (b, dim): the embedding itself,
    before any projection head and not normalised to unit length. Absent objects must not influence it.
    """

    dim: int = Field(default=4, gt=0, description="Numbers per event in the embedding.")

    @abstractmethod
    def build(self, schema: Schema) -> nn.Module:
        """The untrained module for events of this schema; initial weights come from torch's current generator."""
