"""`decay-taus`: every lepton becomes that of a tau decay: softer, with missing momentum along it."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.errors import SchemaError
from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.events.observables import LEPTONS
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout

__all__ = ["DecayTaus", "DecayTausConfig"]

GRID = 1024


class DecayTausConfig(ViewConfig):
    """Settings of `decay-taus`."""

    name: Literal["decay-taus"] = "decay-taus"
    collections: tuple[str, ...] = Field(default=LEPTONS, min_length=1, description="Collections of leptons.")

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (none of the collections)."""
        names = [name for name in self.collections if schema.has(name)]
        if not names:
            raise SchemaError(f"decay-taus: schema '{schema.name}' has none of {', '.join(self.collections)}")
        return DecayTaus(Layout(schema), names)


class DecayTaus(View):
    """Replace leptons by those of collinear tau decays: pt becomes x pt and the rest goes to the MET.

    x is drawn from dN/dx = (5 - 9 x^2 + 4 x^3) / 3, the spectrum of tau -> l nu nu for an unpolarised tau of high
    energy and a massless lepton (e.g. Y.-S. Tsai, Phys. Rev. D 4 (1971) 2821).
    """

    fraction: Tensor
    leptons: Tensor

    def __init__(self, layout: Layout, names: list[str]):
        super().__init__()
        self.layout = layout
        self.register_buffer("leptons", layout.slots_of(names), persistent=False)
        x = torch.linspace(0, 1, GRID + 1, dtype=torch.float64)
        below = (5 * x - 3 * x**3 + x**4) / 3
        at = torch.searchsorted(below, torch.linspace(0, 1, GRID + 1, dtype=torch.float64)).clamp(1, GRID)
        share = (torch.linspace(0, 1, GRID + 1, dtype=torch.float64) - below[at - 1]) / (below[at] - below[at - 1])
        self.register_buffer("fraction", (x[at - 1] + share * (x[at] - x[at - 1])).float(), persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Decay the leptons of every event."""
        layout = self.layout
        u = torch.rand(present.shape, generator=generator, device=objects.device) * GRID
        low = u.long().clamp_max(GRID - 1)
        x = self.fraction[low] + (u - low) * (self.fraction[low + 1] - self.fraction[low])
        result = objects.clone()
        result[..., layout.pt] *= torch.where(self.leptons & present, x, 1.0)
        result = layout.balance((objects, present), result, present)
        return Viewed(*layout.tidy(result, present), objects.new_zeros((len(objects), 0)))
