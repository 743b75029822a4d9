"""What every choice of inputs has in common: from physical objects to the numbers that an encoder is fed."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from unseen.embed.inputs.scaling import Scaling
from unseen.errors import ShapeError
from unseen.events import Schema
from unseen.registry import NamedConfig

__all__ = ["Features", "Fed", "Inputs", "InputsConfig"]


class Features(NamedTuple):
    """Features before scaling: of objects (b, slots, f), of the event (b, k), and whether those are defined (b, k).

    None where inputs have no features of the event.
    """

    objects: Tensor
    event: Tensor | None = None
    defined: Tensor | None = None


class Fed(NamedTuple):
    """What an encoder is fed, every feature at zero mean and unit spread in the training sample.

    * objects (b, slots, f): exactly 0 where absent
    * present (b, slots)
    * event (b, k): features of the whole event, exactly 0 where not defined; None without them
    * physical (b, slots, features): the objects in the units of the schema, 0 where absent
    * pair_scale (2, 2): mean and deviation of the pair features (log m, delta R)
    """

    objects: Tensor
    present: Tensor
    event: Tensor | None
    physical: Tensor
    pair_scale: Tensor

    def beside(self, x: Tensor) -> Tensor:
        """x (b, w) and the features of the event, if any, (b, w + k)."""
        return x if self.event is None else torch.cat([x, self.event], dim=1)


class Inputs(nn.Module):
    """Objects (b, slots, features) in physical units and present (b, slots) -> Fed. Nothing in it is trained.

    What absent slots hold influences nothing, not even a gradient. The numbers of the scaling are buffers outside the
    state_dict: they are saved as JSON.
    """

    mean: Tensor
    deviation: Tensor
    event_mean: Tensor
    event_deviation: Tensor
    pair_scale: Tensor

    def __init__(self, n_features: int, kinds: tuple[str, ...] = ()):
        super().__init__()
        self.n_features, self.kinds = n_features, kinds

    @property
    def n_event(self) -> int:
        """Number of features of the whole event."""
        return len(self.kinds)

    @abstractmethod
    def features(self, objects: Tensor, present: Tensor) -> Features:
        """The features before scaling, from objects that are 0 where absent; finite for absent objects."""

    def scale(self, scaling: Scaling, schema: Schema) -> None:
        """Take the numbers that `forward` scales with; ShapeError if they are of other features."""
        got = (len(scaling.mean), len(scaling.mean[0]), len(scaling.event_mean))
        needed = (len(schema.collections), self.n_features, self.n_event)
        if got != needed:
            raise ShapeError(f"a scaling of (collections, features, event features) {got} for inputs of {needed}")
        slots = [c.slots for c in schema.collections]
        for name in ("mean", "deviation"):
            rows = torch.tensor(getattr(scaling, name), dtype=torch.float32)
            self.register_buffer(name, rows.repeat_interleave(torch.tensor(slots), dim=0), persistent=False)
        for name in ("event_mean", "event_deviation", "pair_scale"):
            self.register_buffer(name, torch.tensor(getattr(scaling, name), dtype=torch.float32), persistent=False)

    def forward(self, objects: Tensor, present: Tensor) -> Fed:
        """Features, scaled; pure tensor operations, on any device, exportable."""
        zero = torch.zeros((), device=objects.device)
        there = present[..., None]
        physical = torch.where(there, objects, zero)
        raw = self.features(physical, present)
        fed = torch.where(there, (raw.objects - self.mean) / self.deviation, zero)
        event = None
        if raw.event is not None and raw.defined is not None:
            event = torch.where(raw.defined, (raw.event - self.event_mean) / self.event_deviation, zero)
        return Fed(fed, present, event, physical, self.pair_scale)


class InputsConfig(NamedConfig):
    """Settings of one choice of inputs, and how to build it."""

    needs_log_pt: ClassVar[bool] = False  # whether `log_pt: false` contradicts it

    @abstractmethod
    def build(self, schema: Schema, log_pt: bool = True) -> Inputs:
        """The module for events of this schema, not yet scaled; SchemaError if it lacks what the features need."""
