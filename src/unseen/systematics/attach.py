"""From up and down samples of the same events to columns of the record of the nominal ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NuisanceError
from unseen.events import Events

__all__ = ["attach_variation"]

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def attach_variation(
    events: Events, label: str, *, up: Events, down: Events | None = None, symmetric: bool = False, radius: float = 0.2
) -> Events:
    """Events with the record columns `{label}_up` and, unless `symmetric`, `{label}_down`, (n, slots, features) each.

    Events are matched by `record["source"]`, objects to the nearest one of their collection within `radius` in eta and
    phi, whatever slot it has there. An object that is on one side only (the other one is below threshold) has the
    mirror image there (nominal^2 / other for pt); one on neither side does not move. An event that is missing in `up`
    or `down` is refused: store samples without selection. Objects that only the varied samples have are not restored:
    store below the thresholds of the selection.
    Errors: NuisanceError (up without down, another schema, events without partner).
    """
    if down is None and not symmetric:
        raise NuisanceError(
            f"variation '{label}': up without down; give `down`, or set `symmetric=True` for the mirror of up"
        )
    columns = [_matched(events, label, side, radius) for side in ([up] if down is None else [up, down])]
    nominal, present = events.objects, events.present
    (high, found), (low, also) = columns[0], columns[1] if down is not None else (nominal, np.zeros_like(present))
    pt = events.schema.feature("pt")
    record = {**events.record, f"{label}_up": _fill(nominal, high, found, low, also, pt)}
    if down is not None:
        record[f"{label}_down"] = _fill(nominal, low, also, high, found, pt)
    return Events.create(
        events.schema,
        nominal,
        present,
        label=events.label,
        label_names=events.label_names,
        weight=events.weight,
        nu=events.nu,
        record=record,
    )


def _matched(events: Events, label: str, other: Events, radius: float) -> tuple[Array, Mask]:
    """For every object the nearest one of the other sample and whether it is within the radius."""
    rows = _partners(events, label, other)
    eta, phi = (events.schema.feature(name) for name in ("eta", "phi"))
    objects, found = np.zeros_like(events.objects), np.zeros_like(events.present)
    for c in events.schema.collections:
        slots = events.schema.slots(c.name)
        mine, theirs = events.objects[:, slots], other.objects[rows][:, slots]
        there = events.present[:, slots, None] & other.present[rows][:, None, slots]
        turn = mine[:, :, None, phi] - theirs[:, None, :, phi]
        turn = np.abs((turn + math.pi) % (2 * math.pi) - math.pi)
        distance = np.where(there, np.hypot(mine[:, :, None, eta] - theirs[:, None, :, eta], turn), np.inf)
        nearest = distance.argmin(axis=2)
        close = np.take_along_axis(distance, nearest[..., None], axis=2)[..., 0]
        # The missing momentum is one vector, wherever it points.
        found[:, slots] = np.isfinite(close) if c.name == "met" else close < radius
        objects[:, slots] = np.take_along_axis(theirs, nearest[..., None], axis=1)
    return objects, found


def _partners(events: Events, label: str, other: Events) -> NDArray[np.int64]:
    if other.schema.collections != events.schema.collections or other.schema.features != events.schema.features:
        raise NuisanceError(
            f"variation '{label}' has schema '{other.schema.name}', the events have '{events.schema.name}': "
            "convert both with one schema"
        )
    for sample, name in ((events, "nominal"), (other, "varied")):
        if "source" not in sample.record:
            raise NuisanceError(f"variation '{label}': the {name} events have no record['source'] to match them by")
    mine, theirs = events.record["source"], other.record["source"]
    for values, name in ((mine, "nominal"), (theirs, "varied")):
        if len(np.unique(values)) < len(values):
            raise NuisanceError(f"variation '{label}': a source occurs more than once among the {name} events")
    order = np.argsort(theirs, kind="stable")
    place = np.searchsorted(theirs, mine, sorter=order).clip(max=max(len(theirs) - 1, 0))
    missing = np.ones(len(mine), bool) if not len(theirs) else theirs[order[place]] != mine
    if missing.any():
        raise NuisanceError(
            f"variation '{label}': {int(missing.sum())} of {len(mine)} events have no partner of the same source; "
            "variations are of the same generated events, stored without selection"
        )
    rows: NDArray[np.int64] = order[place]
    return rows


def _fill(nominal: Array, side: Array, found: Mask, other: Array, also: Mask, pt: int) -> Array:
    """One side where it has the object, the mirror image of the other where only that has it, else the nominal."""
    mirror = 2 * nominal - other
    mirror[..., pt] = nominal[..., pt] ** 2 / np.where(also & (other[..., pt] > 0), other[..., pt], 1.0)
    result: Array = np.where(found[..., None], side, np.where(also[..., None], mirror, nominal)).astype(np.float32)
    return result
