"""Whether events are of the kind that something was learned from: layout, units, and thresholds on objects.

A schema says how events are stored and which selection belongs to them, not whether it was applied: whoever trains or
embeds has nearly always applied it. What objects can be there is then decided by the tighter one of the stored
threshold and the selection's. Looser storage with the same selection is no difference, and neither are requirements on
the event, which decide which events there are and change no object of them.
"""

from __future__ import annotations

import math

import numpy as np

from unseen.errors import SchemaError
from unseen.events.events import Events
from unseen.events.schema import Collection, Cut, Schema

__all__ = ["check_alike", "difference"]

Limits = tuple[float, float]  # lowest pt, largest |eta|


def check_alike(trained: Schema, events: Events) -> None:
    """SchemaError unless `events` are as those of the schema `trained`: same layout, units and object thresholds.

    Events that declare looser thresholds pass if no object of them is beyond those of `trained`: they were selected by
    hand. Tighter ones are refused: objects are missing that the events of the training had.
    """
    given = events.schema
    if given == trained:
        return
    found = difference(trained, given)
    if found is not None:
        raise SchemaError(
            f"events of schema '{given.name}' have {found[1]}; those of '{trained.name}', which were trained on, have "
            f"{found[0]}. Convert the events, or correct their schema if it is wrong"
        )
    for collection in trained.collections:
        _check_thresholds(collection, trained, events)


def difference(one: Schema, other: Schema) -> tuple[str, str] | None:
    """What the schemas have instead of each other: collections and slots, features, or units; None if all are equal."""
    for said in (_collections, _features, _units):
        if said(one) != said(other):
            return said(one), said(other)
    return None


def _collections(schema: Schema) -> str:
    return f"collections {', '.join(f'{c.name}[{c.slots}]' for c in schema.collections)}"


def _features(schema: Schema) -> str:
    return f"features {', '.join(schema.features)}"


def _units(schema: Schema) -> str:
    named = zip(schema.features, schema.units, strict=True)
    return f"{', '.join(f'{feature} in {unit}' if unit else f'{feature} without unit' for feature, unit in named)}"


def _check_thresholds(trained: Collection, schema: Schema, events: Events) -> None:
    name, given = trained.name, events.schema.collection(trained.name)
    ours, theirs = _after(trained, schema.selection.objects), _after(given, events.schema.selection.objects)
    if theirs[0] > ours[0] or theirs[1] < ours[1]:
        again = "Read them with that schema: unseen.read(path, schema=model.schema, select=True)"
        remedy = again if _stored(given) == _stored(trained) else "Store them with that schema, or train on such events"
        raise SchemaError(
            f"events of schema '{events.schema.name}' have {name} {_say(theirs)}, those of '{schema.name}', which were "
            f"trained on, {_say(ours)}: objects in between would be missing. {remedy}"
        )
    # Equal after the selection: whether it was applied is not known, but what was never stored has not been learned.
    limits = ours if theirs != ours else _stored(trained)
    _check_objects(name, limits, schema, events)


def _check_objects(name: str, limits: Limits, trained: Schema, events: Events) -> None:
    """SchemaError for an object that the events of the training could not have."""
    lowest, widest = _stored(events.schema.collection(name))
    there = events.has(name)
    beyond = np.zeros_like(there)
    if lowest < limits[0]:
        beyond |= there & (events.get(name, "pt") < limits[0])
    if widest > limits[1]:
        beyond |= there & (np.abs(events.get(name, "eta")) > limits[1])
    if beyond.any():
        row, slot = np.argwhere(beyond)[0]
        values = {f: f"{events.get(name, f)[row, slot]:.4g}" for f in ("pt", "eta") if f in events.schema.features}
        raise SchemaError(
            f"event {row} of schema '{events.schema.name}' has one of {name} with "
            f"{', '.join(f'{feature} {value}' for feature, value in values.items())}; those of '{trained.name}' are "
            f"{_say(limits)}. Remove such objects: unseen.events.select(events, model.schema.selection)"
        )


def _stored(collection: Collection) -> Limits:
    return collection.pt_min, math.inf if collection.abs_eta_max is None else collection.abs_eta_max


def _after(collection: Collection, cuts: dict[str, Cut]) -> Limits:
    """The thresholds of objects that were stored and then pass the selection."""
    pt, eta = _stored(collection)
    cut = cuts.get(collection.name, Cut())
    return max(pt, cut.pt_min), min(eta, math.inf if cut.abs_eta_max is None else cut.abs_eta_max)


def _say(limits: Limits) -> str:
    pt, eta = limits
    return f"above pt {pt:g}" + ("" if math.isinf(eta) else f" and within |eta| {eta:g}")
