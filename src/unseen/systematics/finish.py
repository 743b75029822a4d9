"""What the reconstruction does after the distortions: MET, thresholds, order; and the selection's verdict."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unseen.events import Schema
from unseen.systematics.batch import Batch
from unseen.views.layout import MET
from unseen.views.trigger import Trigger

__all__ = ["finish", "kept", "selected"]


def finish(batch: Batch, moved: Tensor) -> tuple[Tensor, Tensor]:
    """Objects and present with the MET shift applied and, in rows that `moved` (b,), below-threshold objects removed.

    Thresholds are those of storage (`Collection.pt_min`, `abs_eta_max`): the selection is looked at later. What is
    removed stays in the MET: it is still in the calorimeters.
    """
    objects = _with_met(batch)
    present = batch.present & (_stored(batch.schema, objects, batch.present) | ~moved[:, None])
    tidy, there = batch.layout.sort(objects, present)
    row = moved[:, None]
    return torch.where(row[..., None], tidy, objects), torch.where(row, there, present)


def selected(schema: Schema, objects: Tensor, present: Tensor) -> Tensor:
    """Which events pass the schema's selection, bool (b,): objects that fail their cut do not count."""
    verdict: Tensor = Trigger(schema)(objects, kept(schema, objects, present))
    return verdict


def kept(schema: Schema, objects: Tensor, present: Tensor) -> Tensor:
    """Which objects are there and pass their cut in the schema's selection, bool (b, slots)."""
    pt, eta = objects[..., schema.feature("pt")], objects[..., schema.feature("eta")].abs()
    keep = present.clone()
    for name, cut in schema.selection.objects.items():
        slots = schema.slots(name)
        edge = math.inf if cut.abs_eta_max is None else cut.abs_eta_max
        keep[:, slots] &= (pt[:, slots] > cut.pt_min) & (eta[:, slots] < edge)
    return keep


def _stored(schema: Schema, objects: Tensor, present: Tensor) -> Tensor:
    """Which objects are above the thresholds of storage, bool (b, slots); the MET always is."""
    pt, eta = objects[..., schema.feature("pt")], objects[..., schema.feature("eta")].abs()
    keep = torch.ones_like(present)
    for c in schema.collections:
        if c.name != MET:
            slots = schema.slots(c.name)
            keep[:, slots] = (pt[:, slots] > c.pt_min) & (eta[:, slots] < (c.abs_eta_max or math.inf))
    return keep


def _with_met(batch: Batch) -> Tensor:
    """Objects with the shift added to the MET vector, as a change of size and a turn: both are exactly 0 for no shift.

    Written this way, and not as the polar form of a sum, the MET is differentiable in nu at nu = 0 too.
    """
    layout = batch.layout
    if layout.met is None:
        return batch.objects
    pt, phi = batch.objects[:, layout.met, layout.pt], batch.objects[:, layout.met, layout.phi]
    along = batch.met_shift[:, 0] * phi.cos() + batch.met_shift[:, 1] * phi.sin()
    across = batch.met_shift[:, 1] * phi.cos() - batch.met_shift[:, 0] * phi.sin()
    there = batch.present[:, layout.met] & ((pt > 0) | (along != 0) | (across != 0))
    # Neither the square root nor the angle of a zero vector has a derivative.
    along, across = torch.where(there, along, 0.0), torch.where(there, across, 0.0)
    length = torch.where(there, (pt + along) ** 2 + across**2, 1.0)
    safe = torch.sqrt(length.clamp_min(1e-12))
    size = (along * (2 * pt + along) + across**2) / (safe + pt)
    # The last bit of atan2 in float32 depends on where in the batch an event is.
    turn = torch.atan2(across.double(), torch.where(there, pt + along, 1.0).double()).to(phi)
    turned = phi + turn
    turns = ((turned >= math.pi) & (turn > 0)).to(phi) - ((turned < -math.pi) & (turn < 0)).to(phi)
    turned = turned - 2 * math.pi * turns
    result = batch.objects.clone()
    result[:, layout.met, layout.pt] = torch.where(there, (pt + size).clamp_min(0.0), pt)
    result[:, layout.met, layout.phi] = torch.where(there, turned, phi)
    return result
