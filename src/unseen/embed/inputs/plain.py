"""`plain`: the features of the schema, with log(1 + pt/GeV) in place of pt unless `log_pt` is off."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from unseen.embed.inputs.base import Features, Inputs, InputsConfig
from unseen.events import Schema
from unseen.events.normalisation import LOG_FEATURE, log_at

__all__ = ["PlainConfig", "PlainInputs"]


class PlainConfig(InputsConfig):
    """Settings of `plain`: none."""

    name: Literal["plain"] = "plain"

    def build(self, schema: Schema, log_pt: bool = True) -> Inputs:
        """The module for this schema."""
        return PlainInputs(schema.n_features, schema.feature(LOG_FEATURE) if log_pt else None)


class PlainInputs(Inputs):
    """Every feature as it is, pt as its logarithm."""

    def __init__(self, n_features: int, log_column: int | None):
        super().__init__(n_features)
        self.log_column = log_column

    def features(self, objects: Tensor, present: Tensor) -> Features:
        """The features of the objects; none of the event."""
        return Features(log_at(objects, self.log_column))
