"""Synthetic anomalies: background events with changed kinematics, to tune embeddings without looking at a signal.

A change leaves which objects there are, or the kinematics of every single object, as the background has them, so that
an embedding must use how they belong together or how hard they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unseen.events import Events

__all__ = ["ANOMALIES", "Anomaly", "hard_leptons", "missing_pt", "shuffled_jets", "turned_met"]

Anomaly = Callable[[Events, np.random.Generator], Events]
LEPTONS = ("electrons", "muons")
LEPTON_FACTOR = 2.0
MISSING_PT = 40.0  # GeV


def hard_leptons(events: Events, rng: np.random.Generator) -> Events:
    """Every lepton's pt doubled."""
    objects = events.objects.copy()
    for name in LEPTONS:
        if events.schema.has(name):
            objects[:, events.schema.slots(name), events.schema.feature("pt")] *= LEPTON_FACTOR
    return events.replace_objects(objects, events.present)


def missing_pt(events: Events, rng: np.random.Generator) -> Events:
    """40 GeV added to MET in its direction."""
    objects, slots = events.objects.copy(), events.schema.slots("met")
    objects[:, slots, events.schema.feature("pt")] += MISSING_PT
    return events.replace_objects(objects, events.present)


def turned_met(events: Events, rng: np.random.Generator) -> Events:
    """MET in a random direction: nothing but its angle to the rest is unusual."""
    objects, slots = events.objects.copy(), events.schema.slots("met")
    phi = rng.uniform(-np.pi, np.pi, size=objects[:, slots, 0].shape)
    objects[:, slots, events.schema.feature("phi")] = phi
    return events.replace_objects(objects, events.present)


def shuffled_jets(events: Events, rng: np.random.Generator) -> Events:
    """The jets of another event: each part is usual, the combination is not."""
    slots, other = events.schema.slots("jets"), rng.permutation(len(events))
    objects, present = events.objects.copy(), events.present.copy()
    objects[:, slots], present[:, slots] = objects[other][:, slots], present[other][:, slots]
    return events.replace_objects(objects, present)


# Extending: one function and one line here.
ANOMALIES: dict[str, Anomaly] = {
    "hard_leptons": hard_leptons,
    "missing_pt": missing_pt,
    "turned_met": turned_met,
    "shuffled_jets": shuffled_jets,
}
