"""`physics`: log pt, eta, and the angle to a reference axis of the event; optionally features of the whole event."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.inputs.axis import reference_axis
from unseen.embed.inputs.base import Features, Inputs, InputsConfig
from unseen.embed.inputs.event_features import EventFeatures
from unseen.embed.inputs.kinematics import MET
from unseen.events import Schema
from unseen.events.observables import LEPTONS

__all__ = ["PhysicsConfig", "PhysicsInputs"]


class PhysicsConfig(InputsConfig):
    """Settings of `physics`."""

    needs_log_pt: ClassVar[bool] = True

    name: Literal["physics"] = "physics"
    event_features: bool = Field(
        default=True,
        description="Also feed features of the whole event: multiplicities, HT, masses and delta R of leading objects, "
        "transverse masses.",
    )
    sharpness: float = Field(
        default=8.0,
        gt=0.0,
        le=100.0,
        description="How strongly the reference axis follows the hardest lepton: weights in proportion to pt to this.",
    )

    def build(self, schema: Schema, log_pt: bool = True) -> Inputs:
        """The module for this schema. It always feeds log pt. Errors: SchemaError (no pt, eta or phi)."""
        return PhysicsInputs(schema, self)


class PhysicsInputs(Inputs):
    """log(1 + pt/GeV), eta, cos and sin of phi from the reference axis, and what else the schema has, per object.

    The axis is that of the hardest lepton, of the hardest other object if there is no lepton, and of the missing
    momentum if there is nothing else; see `reference_axis` for ties.
    """

    ranks: Tensor

    def __init__(self, schema: Schema, config: PhysicsConfig):
        event = EventFeatures(schema) if config.event_features else None
        super().__init__(schema.n_features + 1, event.kinds if event else ())
        self.event = event
        self.sharpness = config.sharpness
        self.kinematic = [schema.feature(name) for name in ("pt", "eta", "phi")]
        self.others = [i for i in range(schema.n_features) if i not in self.kinematic]
        names = [c.name for c in schema.collections for _ in range(c.slots)]
        ranks = [[n in LEPTONS for n in names], [n not in (*LEPTONS, MET) for n in names], [n == MET for n in names]]
        self.register_buffer("ranks", torch.tensor(ranks), persistent=False)

    def candidates(self, present: Tensor) -> Tensor:
        """The objects (b, slots) of the first rank that an event has any of: leptons, other objects, MET."""
        result = torch.zeros_like(present)
        for rank in self.ranks.unbind(0):
            result = result | (present & rank & ~result.any(dim=1, keepdim=True))
        return result

    def features(self, objects: Tensor, present: Tensor) -> Features:
        """Features of the objects and of the event."""
        kinematics = torch.stack([objects[..., i] for i in self.kinematic], dim=-1)
        pt, eta, phi = kinematics.unbind(-1)
        axis = reference_axis(pt, phi, self.candidates(present), self.sharpness)
        x, y = axis[:, :1], axis[:, 1:]
        cos, sin = torch.cos(phi), torch.sin(phi)
        columns = [torch.log1p(pt), eta, cos * x + sin * y, sin * x - cos * y]
        columns += [objects[..., i] for i in self.others]
        stacked = torch.stack(columns, dim=-1)
        return Features(stacked) if self.event is None else Features(stacked, *self.event(kinematics, present))
