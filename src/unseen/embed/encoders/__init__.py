"""Encoders: a set of objects to a few numbers. Extending is one file and one line in `ENCODERS`."""

from unseen.embed.encoders.base import EncoderConfig
from unseen.embed.encoders.mlp import Mlp, MlpConfig

__all__ = ["ENCODERS", "EncoderConfig", "Mlp", "MlpConfig"]

ENCODERS: dict[str, type[EncoderConfig]] = {"mlp": MlpConfig}
