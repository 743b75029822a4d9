"""`variation`: the same events reconstructed at nu = -1 and 1, as NanoAOD analyses have them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unseen.systematics.base import NuisanceConfig
from unseen.systematics.batch import Batch
from unseen.systematics.interpolation import interpolate
from unseen.systematics.weights import both_sides

__all__ = ["VariationConfig"]


class VariationConfig(NuisanceConfig):
    """Objects at nu = 1 and -1 from columns of the record, each (n, slots, features), slot by slot.

    log pt, eta and phi are interpolated (`unseen.systematics.interpolate`); the MET as a vector, from its own slot: it
    is not balanced again. Rows of absent objects are ignored. `attach_variation` makes the columns from samples.
    """

    about: ClassVar[str] = "up and down samples"

    name: Literal["variation"] = "variation"
    up: str = Field(description="Record column (n, slots, features) at nu = 1.")
    down: str | None = Field(default=None, description="Record column at nu = -1.")
    symmetric: bool = Field(default=False, description="Without down: mirror up.")

    @model_validator(mode="after")
    def _complete(self) -> VariationConfig:
        both_sides(self.parameter, self.up, self.down, self.symmetric)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Up and down."""
        return (self.up,) if self.down is None else (self.up, self.down)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Move every object."""
        up = self._change(batch, self.up)
        down = -up if self.down is None else self._change(batch, self.down)
        layout, change = batch.layout, interpolate(nu[:, None, None], down, up)
        if layout.met is not None:
            batch = batch.shift_met(change[:, layout.met][:, [layout.pt, layout.phi]])
            change = change.clone()
            change[:, layout.met] = 0.0
        columns = [column + moved for column, moved in zip(batch.objects.unbind(-1), change.unbind(-1), strict=True)]
        pt = batch.objects[..., layout.pt]
        columns[layout.pt] = pt + pt * torch.expm1(change[..., layout.pt])
        phi, turned = columns[layout.phi], change[..., layout.phi] != 0
        columns[layout.phi] = phi - 2 * math.pi * (torch.floor((phi + math.pi) / (2 * math.pi)) * turned)
        return replace(batch, objects=torch.stack(columns, dim=-1))

    def _change(self, batch: Batch, name: str) -> Tensor:
        """Change of log pt, of phi within half a turn and of the other features; of the MET: x in pt's, y in phi's."""
        layout, nominal = batch.layout, batch.nominal
        varied = batch.column(name, self.parameter).to(nominal.dtype)
        pt = torch.where(nominal[..., layout.pt] > 0, nominal[..., layout.pt], 1.0)
        varied_pt = torch.where(varied[..., layout.pt] > 0, varied[..., layout.pt], pt)
        change = varied - nominal
        phi = change[..., layout.phi]
        change[..., layout.phi] = phi - 2 * math.pi * torch.round(phi / (2 * math.pi))
        change[..., layout.pt] = (varied_pt / pt).log()
        if layout.met is not None:
            x, y = (
                varied[:, layout.met, layout.pt] * turn(varied[:, layout.met, layout.phi])
                - nominal[:, layout.met, layout.pt] * turn(nominal[:, layout.met, layout.phi])
                for turn in (torch.cos, torch.sin)
            )
            change[:, layout.met, layout.pt], change[:, layout.met, layout.phi] = x, y
        return torch.where(batch.nominal_present[..., None], change, 0.0)
