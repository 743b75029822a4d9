"""The table of nuisances in a configuration: rows by name, or mappings with a name and settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator

from unseen.registry import resolve
from unseen.systematics.base import NuisanceConfig
from unseen.systematics.efficiency import LeptonEfficiencyConfig
from unseen.systematics.normalisation import NormalisationConfig
from unseen.systematics.pileup import SoftPileupConfig
from unseen.systematics.resolution import JetResolutionConfig
from unseen.systematics.scale import ElectronScaleConfig, EnergyScaleConfig, JetScaleConfig, MuonScaleConfig
from unseen.systematics.unclustered import UnclusteredMetConfig
from unseen.systematics.variation import VariationConfig
from unseen.systematics.weights import FinalShowerConfig, InitialShowerConfig, WeightsConfig

__all__ = ["BUILT_IN", "NUISANCES", "SystematicsConfig"]

NUISANCES: dict[str, type[NuisanceConfig]] = {
    "jet-scale": JetScaleConfig,
    "jet-resolution": JetResolutionConfig,
    "electron-scale": ElectronScaleConfig,
    "muon-scale": MuonScaleConfig,
    "energy-scale": EnergyScaleConfig,
    "unclustered-met": UnclusteredMetConfig,
    "soft-pileup": SoftPileupConfig,
    "lepton-efficiency": LeptonEfficiencyConfig,
    "normalisation": NormalisationConfig,
    "weights": WeightsConfig,
    "initial-shower": InitialShowerConfig,
    "final-shower": FinalShowerConfig,
    "variation": VariationConfig,
}

# What needs nothing but the objects of an event, in the order in which it is applied: what changes the objects that are
# there, what depends on all of them, what adds some, weights.
BUILT_IN = (
    "jet-scale",
    "jet-resolution",
    "electron-scale",
    "muon-scale",
    "unclustered-met",
    "soft-pileup",
    "lepton-efficiency",
    "normalisation",
)


class SystematicsConfig(BaseModel):
    """The nuisance parameters of an analysis, in the order in which they act."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nuisances: tuple[SerializeAsAny[NuisanceConfig], ...] = Field(
        default=(), description="Names of distortions, or mappings with `name` and settings."
    )

    @field_validator("nuisances", mode="before")
    @classmethod
    def _rows(cls, value: Any) -> Any:
        return (
            tuple(resolve(row, NUISANCES, "nuisance") for row in value) if isinstance(value, (list, tuple)) else value
        )
