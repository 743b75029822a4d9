"""Learning the embedding: encoders, objectives, labels, training, probes."""

from unseen.embed.distributed import embed_on
from unseen.embed.encoders import ENCODERS
from unseen.embed.ensemble import Ensemble, load_trained
from unseen.embed.fine_tuning import FineTuneConfig, FineTuned, fine_tune
from unseen.embed.labels import LABELS
from unseen.embed.model import Model
from unseen.embed.objectives import OBJECTIVES
from unseen.embed.optimisers import OPTIMISERS
from unseen.embed.probes import Evaluation, ProbeResult, evaluate, linear_probe
from unseen.embed.settings import TrainingConfig
from unseen.embed.training import train

__all__ = [
    "ENCODERS",
    "LABELS",
    "OBJECTIVES",
    "OPTIMISERS",
    "Ensemble",
    "Evaluation",
    "FineTuneConfig",
    "FineTuned",
    "Model",
    "ProbeResult",
    "TrainingConfig",
    "embed_on",
    "evaluate",
    "fine_tune",
    "linear_probe",
    "load_trained",
    "train",
]
