"""`lepton-efficiency`: more or fewer leptons are found, differently in the barrel and the endcaps."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.base import Kind, NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["LeptonEfficiencyConfig"]


class LeptonEfficiencyConfig(NuisanceConfig):
    """Event weights times (1 + s)^nu for every lepton: a scale factor of the efficiency with its uncertainty s in eta.

    Leptons are those stored in the nominal event; leptons that were missed are not put back, as in scale factors of
    analyses, which is right where no lepton is vetoed.
    """

    kind: ClassVar[Kind] = "weight"
    about: ClassVar[str] = "lepton reconstruction and identification efficiency"

    name: Literal["lepton-efficiency"] = "lepton-efficiency"
    leptons: tuple[str, ...] = Field(default=("electrons", "muons"), min_length=1, description="Which collections.")
    size: float = Field(default=0.01, gt=0.0, lt=1.0, description="Relative change per lepton at nu = 1, barrel.")
    endcap: float = Field(default=0.02, ge=0.0, lt=1.0, description="The same beyond the edge.")
    edge: float = Field(default=1.5, gt=0.0, description="|eta| where the endcap begins.")

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """Those of the leptons that the schema has."""
        return self._existing(self.leptons, schema)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Weight every event."""
        total = torch.zeros_like(nu)
        for name in self.collections(batch.schema):
            forward = batch.get(name, "eta", nominal=True).abs() > self.edge
            each = forward * math.log1p(self.endcap) + ~forward * math.log1p(self.size)
            total = total + (each * batch.has(name, nominal=True)).sum(dim=1)
        return batch.reweight(nu * total)
