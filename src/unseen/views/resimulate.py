"""`resimulate`: another simulation of the same generated event in place of the event (RS3L, arXiv:2403.07066)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed

__all__ = ["Resimulate", "ResimulateConfig", "refuse_partners"]


class ResimulateConfig(ViewConfig):
    """Settings of `resimulate`."""

    partners: ClassVar[bool] = True

    name: Literal["resimulate"] = "resimulate"

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema."""
        return Resimulate()


class Resimulate(View):
    """Return what is given: a partner is another row of the sample, so it is drawn with the batch, not made here.

    The first view of an event is of the event, the others are of its partners; `unseen.embed.partners` draws them.
    """

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """The events as they are."""
        return Viewed(objects, present, objects.new_zeros((len(objects), 0)))


def refuse_partners(views: Iterable[ViewConfig], where: str) -> None:
    """ValueError if one of the views replaces events by other rows of the sample, which it cannot do `where` it is."""
    for view in views:
        if view.partners:
            raise ValueError(
                f"'{view.name}' cannot be {where}: it replaces the event by another row of the sample before anything "
                f"else happens to it, so put it first under views, e.g. views: [{view.name}, rotate]"
            )
