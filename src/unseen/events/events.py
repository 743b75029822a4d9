"""The immutable columnar batch of events that every stage takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import MissingExtraError, NonFiniteError, SchemaError, ShapeError, WeightError
from unseen.events.schema import Collection, Schema

if TYPE_CHECKING:
    import torch

__all__ = ["Events"]

_COLUMNS = ("objects", "present", "label", "weight", "nu")


@dataclass(frozen=True, eq=False)
class Events:
    """n collision events as padded slots. Every array is read-only.

    * objects: float32 (n, slots, features), 0 where absent; units as in `schema.units`
    * present: bool (n, slots)
    * label: int64 (n,), index into `label_names` (the process)
    * weight: float64 (n,)
    * nu: float32 (n, k), nuisance parameters the events were distorted with, k = 0 for nominal events
    * record: a few simulation truths, name -> (n, ...); `record["source"]` (int64) identifies the generated event: rows
      that share it are copies and must never be split between two pools

    Build with `Events.create`, which checks and fills in defaults.
    """

    schema: Schema
    objects: NDArray[np.float32]
    present: NDArray[np.bool_]
    label: NDArray[np.int64]
    weight: NDArray[np.float64]
    nu: NDArray[np.float32]
    label_names: tuple[str, ...] = ("events",)
    record: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        schema: Schema,
        objects: ArrayLike,
        present: ArrayLike,
        *,
        label: ArrayLike | int = 0,
        label_names: Sequence[str] = ("events",),
        weight: ArrayLike | float = 1.0,
        nu: ArrayLike | None = None,
        record: Mapping[str, ArrayLike] | None = None,
    ) -> Events:
        """Check shapes and values and return an immutable batch.

        Errors: ShapeError, SchemaError (slots or features), NonFiniteError (a present object), WeightError.
        """
        x = np.array(objects, dtype=np.float32)
        mask = np.array(present, dtype=np.bool_)
        _check_layout(schema, x, mask)
        n = len(x)
        x[~mask] = 0.0
        if not np.isfinite(x).all():
            row, slot, feature = np.argwhere(~np.isfinite(x))[0]
            raise NonFiniteError(f"event {row}, slot {slot}: {schema.features[feature]} is {x[row, slot, feature]}")
        labels = np.broadcast_to(np.asarray(label, dtype=np.int64), (n,)).copy()
        if n and (labels.min() < 0 or labels.max() >= len(label_names)):
            raise SchemaError(
                f"labels {labels.min()}..{labels.max()} but {len(label_names)} label names: {label_names}"
            )
        weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), (n,)).copy()
        if not np.isfinite(weights).all():
            raise WeightError(f"event {int(np.argmin(np.isfinite(weights)))} has a weight that is not finite")
        nus = np.zeros((n, 0), np.float32) if nu is None else np.array(nu, dtype=np.float32)
        truths = {name: np.array(values) for name, values in (record or {}).items()}
        for name, values in {"nu": nus, **truths}.items():
            if len(values) != n:
                raise ShapeError(f"{name} has {len(values)} rows for {n} events")
        return cls(schema, x, mask, labels, weights, nus, tuple(label_names), truths)._frozen()

    def _frozen(self) -> Events:
        for array in (*(getattr(self, name) for name in _COLUMNS), *self.record.values()):
            array.flags.writeable = False
        return self

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Events:
        """Rows by slice, mask or indices; an Events again. Errors: ShapeError (a single number, more than one axis)."""
        if not isinstance(rows, slice) and (isinstance(rows, tuple) or np.ndim(rows) != 1):
            raise ShapeError(
                f"events are selected by a slice, a mask or indices, not by {rows!r}; one event i: [i : i + 1]"
            )
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        record = {name: values[rows] for name, values in self.record.items()}
        return Events(self.schema, label_names=self.label_names, record=record, **columns)._frozen()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Events):
            return NotImplemented
        same = self.schema == other.schema and self.label_names == other.label_names
        same = same and self.record.keys() == other.record.keys()
        return (
            same
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _COLUMNS)
            and all(np.array_equal(values, other.record[name]) for name, values in self.record.items())
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Events]) -> Events:
        """One batch from several of one schema; label names are merged, record columns that all share are kept."""
        if not parts:
            raise ShapeError("nothing to concatenate: the list of Events is empty")
        schema = parts[0].schema
        for part in parts[1:]:
            if part.schema != schema:
                raise SchemaError(f"cannot concatenate events of schema '{schema.name}' and '{part.schema.name}'")
            if part.nu.shape[1:] != parts[0].nu.shape[1:]:
                raise ShapeError(f"cannot concatenate events with nu of shape {parts[0].nu.shape} and {part.nu.shape}")
        names = list(dict.fromkeys(name for part in parts for name in part.label_names))
        labels = [np.array([names.index(name) for name in part.label_names])[part.label] for part in parts]
        shared = [name for name in parts[0].record if all(name in part.record for part in parts)]
        record = {name: np.concatenate([part.record[name] for part in parts]) for name in shared}
        columns = {
            name: np.concatenate([getattr(p, name) for p in parts]) for name in ("objects", "present", "weight", "nu")
        }
        return cls(schema, label=np.concatenate(labels), label_names=tuple(names), record=record, **columns)._frozen()

    def replace_objects(self, objects: ArrayLike, present: ArrayLike) -> Events:
        """The same events (labels, weights, records) with other objects, checked again."""
        return Events.create(
            self.schema,
            objects,
            present,
            label=self.label,
            label_names=self.label_names,
            weight=self.weight,
            nu=self.nu,
            record=self.record,
        )

    def get(self, collection: str, feature: str) -> NDArray[np.float32]:
        """One feature of a collection, (n, slots of the collection); 0 where absent."""
        return self.objects[:, self.schema.slots(collection), self.schema.feature(feature)]

    def has(self, collection: str) -> NDArray[np.bool_]:
        """Which slots of a collection are filled, (n, slots of the collection)."""
        return self.present[:, self.schema.slots(collection)]

    def of(self, *names: str) -> Events:
        """The events with these labels."""
        return self[np.isin(self.label, [self.label_names.index(name) for name in names if name in self.label_names])]

    def to_torch(self, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
        """Columns as tensors: objects, present, label, weight, nu. Copies, so the events stay immutable."""
        import torch  # takes seconds, and whoever reads or simulates events does without

        return {name: torch.tensor(getattr(self, name), device=device) for name in _COLUMNS}

    @classmethod
    def from_awkward(cls, schema: Schema, collections: Mapping[str, Any], **columns: Any) -> Events:
        """Pad ragged collections (awkward record arrays with a field per feature) into slots, in descending pt.

        A collection may also be given as flat numpy columns (a mapping of (n,) arrays), for one object per event. The
        first feature of the schema sets the order; objects outside the acceptance of their collection (`pt_min`,
        `abs_eta_max`) are left out. `columns` go to `Events.create` (label, weight, record, ...).
        Errors: SchemaError (a collection or field is missing), ShapeError (collections of different lengths).
        """
        try:
            import awkward as ak
        except ImportError as error:
            raise MissingExtraError("ragged arrays need awkward: pip install 'unseen[hep]'") from error
        objects: list[NDArray[np.float32]] = []
        present: list[NDArray[np.bool_]] = []
        for c in schema.collections:
            if c.name not in collections:
                raise SchemaError(
                    f"collection '{c.name}' of schema '{schema.name}' is missing: got {sorted(collections)}"
                )
            array = collections[c.name]
            if isinstance(array, Mapping):
                array = ak.zip({name: ak.Array(np.asarray(values)[:, None]) for name, values in array.items()})
            missing = [name for name in schema.features if name not in ak.fields(array)]
            if missing:
                raise SchemaError(f"collection '{c.name}' has no field {missing}; it has {ak.fields(array)}")
            array = _accepted(array, c)
            order = ak.argsort(array[schema.features[0]], axis=1, ascending=False)
            padded = ak.pad_none(array[order], c.slots, axis=1, clip=True)
            counts = np.minimum(ak.to_numpy(ak.num(array)), c.slots)
            values = [ak.to_numpy(ak.fill_none(padded[name], 0.0)).astype(np.float32) for name in schema.features]
            objects.append(np.stack(values, axis=-1))
            present.append(np.arange(c.slots) < counts[:, None])
            if len(counts) != len(present[0]):
                raise ShapeError(f"collection '{c.name}' has {len(counts)} events, the one before it {len(present[0])}")
        return cls.create(schema, np.concatenate(objects, axis=1), np.concatenate(present, axis=1), **columns)


def _accepted(array: Any, collection: Collection) -> Any:
    """The objects within the acceptance of the collection; NaN stays, to be named by `Events.create`."""
    if collection.pt_min > 0:
        array = array[~(array["pt"] <= collection.pt_min)]
    if collection.abs_eta_max is not None:
        array = array[~(abs(array["eta"]) >= collection.abs_eta_max)]
    return array


def _check_layout(schema: Schema, objects: NDArray[np.float32], present: NDArray[np.bool_]) -> None:
    expected = (schema.n_slots, schema.n_features)
    if objects.ndim != 3 or objects.shape[1:] != expected:
        raise SchemaError(
            f"objects have shape {objects.shape}; schema '{schema.name}' needs (n, {expected[0]}, {expected[1]})"
        )
    if present.shape != objects.shape[:2]:
        raise ShapeError(f"present has shape {present.shape}; expected {objects.shape[:2]}")
