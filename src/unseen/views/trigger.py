"""The selection of a schema on a batch: which transformed events would have been recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unseen.events import Schema
from unseen.events.schema import Requirement

__all__ = ["Trigger"]


class Trigger(nn.Module):
    """Objects (b, slots, features) and present (b, slots) -> whether an event meets the schema's selection, bool (b,).

    The same requirements as `unseen.events.selection.passes`, on the objects as they are (views keep the thresholds).
    """

    def __init__(self, schema: Schema):
        super().__init__()
        self.schema = schema
        self.pt, self.eta = schema.feature("pt"), schema.feature("eta")

    def forward(self, objects: Tensor, present: Tensor) -> Tensor:
        """Judge every event."""
        selection = self.schema.selection
        kept = torch.ones(len(objects), dtype=torch.bool, device=objects.device)
        if selection.any_of:
            kept &= self._met(selection.any_of, objects, present).any(dim=0)
        if selection.all_of:
            kept &= self._met(selection.all_of, objects, present).all(dim=0)
        return kept

    def _met(self, requirements: Sequence[Requirement], objects: Tensor, present: Tensor) -> Tensor:
        found = []
        for requirement in requirements:
            slots = self.schema.slots(requirement.collection)
            edge = math.inf if requirement.abs_eta_max is None else requirement.abs_eta_max
            good = (objects[:, slots, self.pt] > requirement.pt_min) & (objects[:, slots, self.eta].abs() < edge)
            found.append((good & present[:, slots]).sum(dim=1) >= requirement.count)
        return torch.stack(found)
