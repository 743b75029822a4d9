"""Learning the embedding: encoders, objectives, labels, training, probes."""

from unseen.embed.distributed import embed_on
from unseen.embed.encoders import ENCODERS
from unseen.embed.labels import LABELS
from unseen.embed.model import Model
from unseen.embed.objectives import OBJECTIVES
from unseen.embed.probe import ProbeResult, linear_probe
from unseen.embed.settings import TrainingConfig
from unseen.embed.training import train

__all__ = [
    "ENCODERS",
    "LABELS",
    "OBJECTIVES",
    "Model",
    "ProbeResult",
    "TrainingConfig",
    "embed_on",
    "linear_probe",
    "train",
]
