"""Shift and scale objects to unit spread, per object type and feature, from a training sample only."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from torch import Tensor

from unseen.errors import CorruptFileError, NonFiniteError, NotEnoughEventsError, SchemaError
from unseen.events.events import Events
from unseen.events.schema import Collection, Schema

__all__ = ["Normalisation"]

LOG_FEATURE = "pt"


class Normalisation(BaseModel):
    """Mean and standard deviation of every feature of every collection, over the present objects of one sample.

    `apply` maps a present object to (x - mean) / deviation of its collection and an absent one to exactly 0. With
    `log_pt`, pt is replaced by log(1 + pt / GeV) first. Events count once each, whatever their weight. It is plain
    numbers: `model_dump_json` and `Normalisation.parse` are the round trip.

    A feature that is the same for every present object of a collection (the eta of the missing momentum) has no
    spread: its deviation is taken as 1, so that it becomes 0. A collection with fewer than two present objects is
    refused, because nothing can be learned about objects that the training sample does not contain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    collections: tuple[str, ...]
    slots: tuple[int, ...]
    features: tuple[str, ...]
    log_pt: bool
    mean: tuple[tuple[float, ...], ...]
    deviation: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _consistent(self) -> Normalisation:
        shape = (len(self.collections), len(self.features))
        for name in ("mean", "deviation"):
            rows = getattr(self, name)
            if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
                raise ValueError(f"{name} is not of shape {shape}: one row per collection, one column per feature")
        if any(value <= 0 for row in self.deviation for value in row):
            raise ValueError("a deviation is not positive")
        if len(self.slots) != shape[0]:
            raise ValueError(f"{len(self.slots)} slot counts for {shape[0]} collections")
        return self

    @classmethod
    def fit(cls, events: Events, log_pt: bool = False) -> Normalisation:
        """Measure the training sample. Errors: NotEnoughEventsError (a collection is empty), SchemaError (no pt)."""
        schema = events.schema
        if log_pt:
            schema.feature(LOG_FEATURE)
        rows = [_measure(events, collection, log_pt) for collection in schema.collections]
        return cls(
            collections=tuple(c.name for c in schema.collections),
            slots=tuple(c.slots for c in schema.collections),
            features=schema.features,
            log_pt=log_pt,
            mean=tuple(tuple(mean.tolist()) for mean, _ in rows),
            deviation=tuple(tuple(deviation.tolist()) for _, deviation in rows),
        )

    @classmethod
    def parse(cls, content: Any, origin: str = "normalisation") -> Normalisation:
        """Build from a mapping as `model_dump` gives it; CorruptFileError that names the origin if it is not valid."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "normalisation"
            raise CorruptFileError(f"{origin}: {where}: {first['msg']}") from error

    def check(self, schema: Schema) -> None:
        """SchemaError unless events of this schema have the collections, slots and features that were measured."""
        names = tuple(c.name for c in schema.collections)
        slots = tuple(c.slots for c in schema.collections)
        if (names, slots, schema.features) != (self.collections, self.slots, self.features):
            raise SchemaError(
                f"events of schema '{schema.name}' have collections {_layout(names, slots)} with {schema.features}; "
                f"this normalisation was fitted on {_layout(self.collections, self.slots)} with {self.features}"
            )

    def per_slot(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation of every slot, each (slots, features)."""
        mean = np.repeat(np.array(self.mean, dtype=np.float32), self.slots, axis=0)
        deviation = np.repeat(np.array(self.deviation, dtype=np.float32), self.slots, axis=0)
        return mean, deviation

    @overload
    def apply(self, objects: Tensor, present: Tensor) -> Tensor: ...
    @overload
    def apply(self, objects: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]: ...
    def apply(self, objects: Any, present: Any) -> Any:
        """Objects (n, slots, features) in physical units to normalised ones; absent objects are exactly 0.

        Takes and returns numpy arrays or tensors. Errors: NonFiniteError (arrays only) for a present pt below 0 with
        `log_pt` or for values that are not finite.
        """
        if isinstance(objects, Tensor):
            mean, deviation = (torch.from_numpy(a).to(objects.device) for a in self.per_slot())
            return normalise(objects, present, mean, deviation, self.log_column)
        arrays = torch.from_numpy(np.array(objects, dtype=np.float32)), torch.from_numpy(np.array(present, dtype=bool))
        result = self.apply(*arrays).numpy()
        if not np.isfinite(result).all():
            row, slot, feature = np.argwhere(~np.isfinite(result))[0]
            raise NonFiniteError(
                f"event {row}, slot {slot}: {self.features[feature]} is {objects[row, slot, feature]}, "
                "which cannot be normalised"
            )
        return result

    @property
    def log_column(self) -> int | None:
        """The feature that is replaced by its logarithm, if any."""
        return self.features.index(LOG_FEATURE) if self.log_pt else None


def normalise(objects: Tensor, present: Tensor, mean: Tensor, deviation: Tensor, log_column: int | None) -> Tensor:
    """(x - mean) / deviation where present, 0 elsewhere; pure tensor operations, on any device, exportable."""
    scaled = (log_at(objects, log_column) - mean) / deviation
    return torch.where(present[..., None], scaled, torch.zeros((), device=objects.device))


def log_at(objects: Tensor, column: int | None) -> Tensor:
    """Objects (..., features) with one feature, if any, replaced by log(1 + feature)."""
    if column is None:
        return objects
    columns = list(objects.unbind(-1))
    columns[column] = torch.log1p(columns[column])
    return torch.stack(columns, dim=-1)


def _measure(events: Events, collection: Collection, log_pt: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    slots = events.schema.slots(collection.name)
    x = events.objects[:, slots][events.present[:, slots]].astype(np.float64)
    if len(x) < 2:
        raise NotEnoughEventsError(
            f"collection '{collection.name}' has {len(x)} objects in the {len(events)} training events; "
            "add events that have them, or use a schema without this collection"
        )
    if log_pt:
        column = events.schema.feature(LOG_FEATURE)
        if (x[:, column] < 0).any():
            raise NonFiniteError(f"collection '{collection.name}' has a pt of {x[:, column].min():g} GeV: no logarithm")
        x[:, column] = np.log1p(x[:, column])
    # Rounding leaves a tiny spread on a constant; the range does not.
    deviation = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)
    return x.mean(axis=0), deviation


def _layout(names: tuple[str, ...], slots: tuple[int, ...]) -> str:
    return ", ".join(f"{name}[{count}]" for name, count in zip(names, slots, strict=True))
