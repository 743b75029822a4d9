"""The selection of a schema on tensors: what `unseen.events.select` does to events, inside a training step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.finish import kept
from unseen.views.trigger import Trigger

__all__ = ["Selected", "select_tensors"]


class Selected(NamedTuple):
    """Objects (b, slots, features) and present (b, slots) without objects that fail their cut; who passes, (b,)."""

    objects: Tensor
    present: Tensor
    passes: Tensor


def select_tensors(schema: Schema, objects: Tensor, present: Tensor) -> Selected:
    """Apply the schema's selection to a batch on any device; rows that fail it stay, with `passes` false.

    The objects that are left keep their order and move to the first slots of their collection, as in
    `unseen.events.select`, to the same bits; absent ones are 0. Waits for no values.
    """
    keep = kept(schema, objects, present)
    slots = [schema.slots(c.name) for c in schema.collections]
    order = torch.cat([(~keep[:, s]).long().argsort(dim=1, stable=True) + s.start for s in slots], dim=1)
    there = keep.gather(1, order)
    tidy = objects.gather(1, order[..., None].expand_as(objects))
    tidy = torch.where(there[..., None], tidy, 0.0)
    return Selected(tidy, there, Trigger(schema)(tidy, there))
