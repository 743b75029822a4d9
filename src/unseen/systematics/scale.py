"""`jet-scale`, `electron-scale`, `muon-scale`, `energy-scale`: the calibration of a type of object."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.base import NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["ElectronScaleConfig", "EnergyScaleConfig", "JetScaleConfig", "MuonScaleConfig"]


class EnergyScaleConfig(NuisanceConfig):
    """pt times (1 + s)^nu with s = size + forward (eta / 4)^2: +s at nu = 1, positive everywhere; the MET follows."""

    about: ClassVar[str] = "calibration of a collection's momentum"

    name: Literal["energy-scale", "jet-scale", "electron-scale", "muon-scale"] = "energy-scale"
    collection: str = Field(default="taus", description="Which objects.")
    size: float = Field(default=0.03, gt=0.0, lt=1.0, description="Relative change at nu = 1 and eta = 0.")
    forward: float = Field(default=0.0, ge=0.0, lt=1.0, description="What is added at |eta| = 4.")

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """The one that it scales."""
        return self._existing((self.collection,), schema)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Scale every object."""
        if not self.forward:
            return batch.scale_pt(self.collection, math.log1p(self.size) * nu[:, None])
        eta = batch.get(self.collection, "eta", nominal=True)
        return batch.scale_pt(self.collection, (self.size + self.forward * (eta / 4) ** 2).log1p() * nu[:, None])


class JetScaleConfig(EnergyScaleConfig):
    """Jet energy scale: 5 %, and 2 % more at |eta| = 4."""

    about: ClassVar[str] = "jet energy scale"

    name: Literal["jet-scale"] = "jet-scale"
    collection: str = Field(default="jets", description="Which objects.")
    size: float = Field(default=0.05, gt=0.0, lt=1.0, description="Relative change at nu = 1 and eta = 0.")
    forward: float = Field(default=0.02, ge=0.0, lt=1.0, description="What is added at |eta| = 4.")


class ElectronScaleConfig(EnergyScaleConfig):
    """Electron energy scale: 2 %."""

    about: ClassVar[str] = "electron energy scale"

    name: Literal["electron-scale"] = "electron-scale"
    collection: str = Field(default="electrons", description="Which objects.")
    size: float = Field(default=0.02, gt=0.0, lt=1.0, description="Relative change at nu = 1.")


class MuonScaleConfig(EnergyScaleConfig):
    """Muon momentum scale: 2 %."""

    about: ClassVar[str] = "muon momentum scale"

    name: Literal["muon-scale"] = "muon-scale"
    collection: str = Field(default="muons", description="Which objects.")
    size: float = Field(default=0.02, gt=0.0, lt=1.0, description="Relative change at nu = 1.")
