"""Training objectives. Extending is one file and one line in `OBJECTIVES`."""

from unseen.embed.objectives.anomclr import AnomCLRConfig
from unseen.embed.objectives.barlow import BarlowConfig
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem
from unseen.embed.objectives.classifier import ClassifierConfig
from unseen.embed.objectives.dino import DinoConfig
from unseen.embed.objectives.equivariant import EquivariantConfig
from unseen.embed.objectives.exposure import ExposureConfig
from unseen.embed.objectives.ntxent import NTXentConfig
from unseen.embed.objectives.soft_supcon import SoftSupConConfig, soft_supcon_loss
from unseen.embed.objectives.sum import SumConfig
from unseen.embed.objectives.supcon import SupCon, SupConConfig, supcon_loss
from unseen.embed.objectives.vae import VAEConfig
from unseen.embed.objectives.vicreg import VICRegConfig

__all__ = [
    "OBJECTIVES",
    "Objective",
    "ObjectiveConfig",
    "Problem",
    "SupCon",
    "SupConConfig",
    "soft_supcon_loss",
    "supcon_loss",
]

OBJECTIVES: dict[str, type[ObjectiveConfig]] = {
    "supcon": SupConConfig,
    "soft-supcon": SoftSupConConfig,
    "ntxent": NTXentConfig,
    "vicreg": VICRegConfig,
    "barlow": BarlowConfig,
    "dino": DinoConfig,
    "anomclr": AnomCLRConfig,
    "equivariant": EquivariantConfig,
    "classifier": ClassifierConfig,
    "vae": VAEConfig,
    "exposure": ExposureConfig,
    "sum": SumConfig,
}
