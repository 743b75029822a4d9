"""`one-of`: one of several views for every event, as the anomalies of arXiv:2301.04660 are drawn."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.add_objects import AddObjectsConfig
from unseen.views.base import NamedView, View, ViewConfig, Viewed
from unseen.views.rescale_pt import RescalePtConfig
from unseen.views.resimulate import refuse_partners
from unseen.views.shift_met import ShiftMetConfig

__all__ = ["OneOf", "OneOfConfig"]


class OneOfConfig(ViewConfig):
    """Settings of `one-of`."""

    name: Literal["one-of"] = "one-of"
    views: tuple[NamedView, ...] = Field(
        default=(AddObjectsConfig(), RescalePtConfig(), RescalePtConfig(met="scaled"), ShiftMetConfig()),
        min_length=1,
        description="Names or mappings, equally likely; the default: the anomalies of arXiv:2301.04660.",
    )

    @field_validator("views")
    @classmethod
    def _of_the_event(cls, views: tuple[ViewConfig, ...]) -> tuple[ViewConfig, ...]:
        refuse_partners(views, "inside 'one-of'")
        return views

    @property
    def n_parameters(self) -> int:
        """Those of all views."""
        return sum(view.n_parameters for view in self.views)

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: those of its views."""
        return OneOf([view.build(schema, normalisation) for view in self.views])


class OneOf(View):
    """Apply one view to every event; a batch is dealt at random into equal parts, one for each view.

    Parameters: those of all views side by side, 0 where not applied.
    """

    def __init__(self, views: list[View]):
        super().__init__()
        self.views = nn.ModuleList(views)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Transform every part of the batch by its view."""
        order = torch.randperm(len(objects), generator=generator, device=objects.device)
        rows = torch.tensor_split(order, len(self.views))
        seen = [view(objects[mine], present[mine], generator) for view, mine in zip(self.views, rows, strict=True)]
        wide, start = [], 0
        total = sum(part.parameters.shape[1] for part in seen)
        for part in seen:
            end = start + part.parameters.shape[1]
            wide.append(nn.functional.pad(part.parameters, (start, total - end)))
            start = end
        back = order.argsort()
        return Viewed(
            torch.cat([part.objects for part in seen])[back],
            torch.cat([part.present for part in seen])[back],
            torch.cat(wide)[back],
        )
