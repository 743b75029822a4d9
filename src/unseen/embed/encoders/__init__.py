"""Encoders: a set of objects to a few numbers. Extending is one file and one line in `ENCODERS`."""

from unseen.embed.encoders.base import Encoder, EncoderConfig
from unseen.embed.encoders.deepsets import DeepSets, DeepSetsConfig
from unseen.embed.encoders.mlp import Mlp, MlpConfig
from unseen.embed.encoders.transformer import PairTransformerConfig, Transformer, TransformerConfig

__all__ = [
    "ENCODERS",
    "DeepSets",
    "DeepSetsConfig",
    "Encoder",
    "EncoderConfig",
    "Mlp",
    "MlpConfig",
    "PairTransformerConfig",
    "Transformer",
    "TransformerConfig",
]

ENCODERS: dict[str, type[EncoderConfig]] = {
    "mlp": MlpConfig,
    "deepsets": DeepSetsConfig,
    "transformer": TransformerConfig,
    "pair-transformer": PairTransformerConfig,
}
