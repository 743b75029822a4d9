"""`unclustered-met`: the energy that is in no object."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.base import NuisanceConfig
from unseen.systematics.batch import Batch

__all__ = ["UnclusteredMetConfig"]


class UnclusteredMetConfig(NuisanceConfig):
    """The MET is minus the sum of objects and of what is unclustered, U; U scales by 1 + size nu.

    U = -(MET + sum of the objects) of the nominal event, so MET(nu) = MET + size nu (MET + sum).
    """

    about: ClassVar[str] = "scale of the unclustered energy"

    name: Literal["unclustered-met"] = "unclustered-met"
    size: float = Field(default=0.1, gt=0.0, lt=1.0, description="Relative change of the unclustered energy at nu = 1.")

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """The MET."""
        return self._existing(("met",), schema)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Scale what is unclustered."""
        return batch.shift_met(self.size * nu[:, None] * (batch.met() + batch.visible()))
