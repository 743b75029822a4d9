"""`mask-features`: hide numbers of objects behind what is typical (arXiv:2502.15926)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.errors import ConfigError, SchemaError, did_you_mean
from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views.base import View, ViewConfig, Viewed
from unseen.views.layout import Layout

__all__ = ["MaskFeatures", "MaskFeaturesConfig"]


class MaskFeaturesConfig(ViewConfig):
    """Settings of `mask-features`."""

    # What is hidden must not move an object to another slot.
    sorts: ClassVar[bool] = False

    name: Literal["mask-features"] = "mask-features"
    probability: float = Field(default=0.5, ge=0.0, le=1.0, description="Chance that a number of an object is hidden.")
    collections: tuple[str, ...] | None = Field(default=None, description="Objects to mask; null: all, and the MET.")
    features: tuple[str, ...] | None = Field(default=None, description="Numbers to mask; null: all.")

    @property
    def n_parameters(self) -> int:
        """The share of numbers hidden."""
        return 1

    def build(self, schema: Schema, normalisation: Normalisation | None = None) -> View:
        """The view for this schema. Errors: SchemaError (no such collection or feature), ConfigError."""
        if normalisation is None:
            raise ConfigError("view 'mask-features' needs the normalisation that the network applies: it has the means")
        known = [c.name for c in schema.collections]
        for name in self.collections or ():
            if name not in known:
                raise SchemaError(
                    f"mask-features: no objects '{name}' in schema '{schema.name}'{did_you_mean(name, known)}"
                )
        columns = [schema.feature(name) for name in self.features or schema.features]
        slots = Layout(schema).slots_of(self.collections or known)
        return MaskFeatures(_typical(normalisation), slots, columns, self.probability)


def _typical(normalisation: Normalisation) -> Tensor:
    """What becomes 0 after normalisation, in physical units, (slots, features)."""
    mean = torch.tensor(normalisation.per_slot()[0])
    if normalisation.log_column is not None:
        mean[:, normalisation.log_column] = torch.expm1(mean[:, normalisation.log_column])
    return mean


class MaskFeatures(View):
    """Replace each number of a present object by the mean of its collection in the training sample, independently.

    The mean is the one of the normalisation, so that a masked number is 0 for the network: the geometric mean of
    (1 GeV + pt) with `log_pt`, else the mean. Objects stay in their slots, and a masked object is still there.
    Parameter: the share of numbers masked.
    """

    typical: Tensor
    maskable: Tensor

    def __init__(self, typical: Tensor, slots: Tensor, columns: list[int], probability: float):
        super().__init__()
        self.probability = probability
        maskable = torch.zeros(typical.shape, dtype=torch.bool)
        maskable[:, columns] = slots[:, None]
        self.register_buffer("typical", typical, persistent=False)
        self.register_buffer("maskable", maskable, persistent=False)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> Viewed:
        """Mask numbers of every event."""
        u = torch.rand(objects.shape, generator=generator, device=objects.device)
        there = present[..., None] & self.maskable
        masked = there & (u < self.probability)
        share = masked.sum(dim=(1, 2)) / there.sum(dim=(1, 2)).clamp_min(1)
        return Viewed(torch.where(masked, self.typical, objects), present, share[:, None])
