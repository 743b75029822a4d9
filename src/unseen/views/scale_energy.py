"""`scale-energy`: shift the energy scale of each type of object, common to an event: a calibration uncertainty."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout, for_collections

__all__ = ["ScaleEnergy", "ScaleEnergyConfig"]

BUILT_IN = {"electrons": 0.01, "photons": 0.01, "muons": 0.005, "taus": 0.02, "jets": 0.03}


class ScaleEnergyConfig(ViewConfig):
    """Settings of `scale-energy`."""

    name: Literal["scale-energy"] = "scale-energy"
    uncertainty: dict[str, Annotated[float, Field(ge=0.0)]] | None = Field(
        default=None,
        description="Collection -> standard deviation of its relative scale; null: electrons and photons 1 %, muons "
        "0.5 %, taus 2 %, jets 3 %.",
    )
    met: bool = Field(default=True, description="The MET takes up the change, as it is computed from what is measured.")

    @property
    def n_parameters(self) -> int:
        """One shift for each collection named, or built in."""
        return len(BUILT_IN if self.uncertainty is None else self.uncertainty)

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection)."""
        uncertainty = for_collections(self.uncertainty, BUILT_IN, schema, "scale-energy")
        columns = list(BUILT_IN if self.uncertainty is None else self.uncertainty)
        return ScaleEnergy(Layout(schema), uncertainty, columns, self.met)


class ScaleEnergy(View):
    """Multiply the pt of all objects of a type by exp(sigma z), z a standard normal number per event and type.

    Objects that fall below threshold are lost. Parameters: z of every type, 0 for those that the schema lacks.
    """

    sigma: Tensor
    column: Tensor
    used: Tensor

    def __init__(self, layout: Layout, uncertainty: dict[str, float], columns: list[str], met: bool):
        super().__init__()
        self.layout, self.follow = layout, met
        self.register_buffer("sigma", layout.per_slot(uncertainty, 0.0), persistent=False)
        index = layout.per_slot({name: float(columns.index(name)) for name in uncertainty}, 0.0)
        self.register_buffer("column", index.long(), persistent=False)
        self.register_buffer("used", torch.tensor([float(name in uncertainty) for name in columns]), persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Scale every event."""
        z = torch.randn(len(objects), len(self.used), generator=generator, device=objects.device) * self.used
        result = objects.clone()
        result[..., self.layout.pt] *= torch.exp(self.sigma * z[:, self.column])
        if self.follow:
            result = self.layout.balance((objects, present), result, present)
        return Viewed(*self.layout.tidy(result, present), z)
