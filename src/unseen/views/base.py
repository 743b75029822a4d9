"""What every view has in common: a stochastic transformation of a batch of events, on the device of the batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import AfterValidator, BeforeValidator, SerializeAsAny
from torch import Tensor, nn

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.registry import NamedConfig, resolve

__all__ = ["FactorRange", "NamedView", "View", "ViewConfig", "Viewed", "apply_views"]


def _rising(factor: tuple[float, float]) -> tuple[float, float]:
    if not 0 < factor[0] <= factor[1]:
        raise ValueError(f"factor must be a rising range above 0, got {list(factor)}")
    return factor


FactorRange = Annotated[tuple[float, float], AfterValidator(_rising)]


class Viewed(NamedTuple):
    """Transformed events: objects (b, slots, features) in physical units, present (b, slots), parameters (b, k).

    `parameters` says what was done, in units in which it is of order 1, for objectives that predict it.
    """

    objects: Tensor
    present: Tensor
    parameters: Tensor


class View(nn.Module):
    """One transformation. Absent objects stay absent (and 0); phi stays in [-pi, pi); the input is not changed."""

    @abstractmethod
    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Transform every event of the batch independently; all randomness comes from the generator."""


class ViewConfig(NamedConfig):
    """Settings of one view, in physical units, and how to build it."""

    sorts: ClassVar[bool] = True  # whether collections are in descending pt afterwards
    mixes: ClassVar[bool] = False  # whether an event depends on the others of its batch
    partners: ClassVar[bool] = False  # whether another row of the sample, drawn with the batch, replaces the event

    @property
    def n_parameters(self) -> int:
        """Columns of `Viewed.parameters`."""
        return 0

    @abstractmethod
    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The transformation for events of this schema; SchemaError if it lacks what the view needs.

        `normalisation` is what the network applies to these events, for views that speak of typical values.
        """


def _view_config(value: Any) -> Any:
    from unseen.views import VIEWS  # the registry holds views that are made of others

    return resolve(value, VIEWS, "view")


# A view in settings: its name, or a mapping with `name`. In a list a mistake is then told with the place of the view.
NamedView = Annotated[SerializeAsAny[ViewConfig], BeforeValidator(_view_config)]


def apply_views(views: Iterable[nn.Module], objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
    """Apply views one after the other; their parameters side by side."""
    parameters = [objects.new_zeros((len(objects), 0))]
    for view in views:
        objects, present, done = view(objects, present, generator)
        parameters.append(done)
    return Viewed(objects, present, torch.cat(parameters, dim=1))
