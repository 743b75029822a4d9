"""Apply a selection: drop objects below threshold, keep events that meet the requirements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.events.events import Events
from unseen.events.schema import Cut, Requirement, Selection

__all__ = ["passes", "remove_objects", "select"]


def _above(events: Events, collection: str, cut: Cut) -> NDArray[np.bool_]:
    keep: NDArray[np.bool_] = events.has(collection) & (events.get(collection, "pt") > cut.pt_min)
    if cut.abs_eta_max is not None:
        keep &= np.abs(events.get(collection, "eta")) < cut.abs_eta_max
    return keep


def remove_objects(events: Events, cuts: dict[str, Cut]) -> Events:
    """Remove objects that fail their cut; the rest keep their order and move to the first slots."""
    if not cuts:
        return events
    objects, present = events.objects.copy(), events.present.copy()
    for collection, cut in cuts.items():
        slots = events.schema.slots(collection)
        keep = _above(events, collection, cut)
        order = np.argsort(~keep, axis=1, kind="stable")
        objects[:, slots] = np.take_along_axis(objects[:, slots], order[..., None], axis=1)
        present[:, slots] = np.take_along_axis(keep, order, axis=1)
    return events.replace_objects(objects, present)


def passes(events: Events, selection: Selection) -> NDArray[np.bool_]:
    """Which events meet any of `any_of` (if given) and all of `all_of`, (n,)."""

    def meets(requirement: Requirement) -> NDArray[np.bool_]:
        counts: NDArray[np.bool_] = _above(events, requirement.collection, requirement).sum(axis=1) >= requirement.count
        return counts

    kept = np.ones(len(events), dtype=np.bool_)
    if selection.any_of:
        kept &= np.any([meets(requirement) for requirement in selection.any_of], axis=0)
    for requirement in selection.all_of:
        kept &= meets(requirement)
    return kept


def select(events: Events, selection: Selection | None = None) -> Events:
    """Apply a selection (default: the schema's own) and return the surviving events without the removed objects."""
    chosen = events.schema.selection if selection is None else selection
    cleaned = remove_objects(events, chosen.objects)
    return cleaned[passes(cleaned, chosen)]
