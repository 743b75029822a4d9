"""Arbitrary small batches of events for property tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from unseen.events import Collection, Cut, Events, Requirement, Schema, Selection

SCHEMA = Schema(
    name="small",
    collections=(
        Collection(name="met", slots=1, type=1),
        Collection(name="muons", slots=2, type=2),
        Collection(name="jets", slots=4, type=3),
    ),
)
NAMES = ("w", "z", "tt", "qcd")
OBJECTS = ("muons", "jets")


def build(n: int, seed: int, names: tuple[str, ...] = NAMES[:2], k: int = 1) -> Events:
    """n events: MET always there, the other slots filled from the first in falling pt; every row has its own source."""
    rng = np.random.default_rng(seed)
    objects = rng.normal(size=(n, SCHEMA.n_slots, 3))
    present = np.zeros((n, SCHEMA.n_slots), bool)
    present[:, 0] = True
    for name in OBJECTS:
        slots = SCHEMA.slots(name)
        width = SCHEMA.collection(name).slots
        present[:, slots] = np.arange(width) < rng.integers(0, width + 1, n)[:, None]
    objects[..., 0] = rng.exponential(30.0, (n, SCHEMA.n_slots)) + 1.0
    for name in OBJECTS:
        objects[:, SCHEMA.slots(name), 0] = -np.sort(-objects[:, SCHEMA.slots(name), 0], axis=1)
    return Events.create(
        SCHEMA,
        objects,
        present,
        label=rng.integers(0, len(names), n),
        label_names=names,
        weight=rng.normal(size=n),
        nu=rng.normal(size=(n, k)),
        record={"source": rng.integers(0, 2**62, n), "m_hat": rng.random(n).astype(np.float32)},
    )


@st.composite
def batches(draw: Any, min_size: int = 0, max_size: int = 9) -> Events:
    names = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)))
    return build(draw(st.integers(min_size, max_size)), draw(st.integers(0, 2**32)), names)


def rows(n: int) -> st.SearchStrategy[Any]:
    """Anything that selects rows out of n: a slice, a mask, or indices that may repeat and count from the end."""
    masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, bool))
    if n == 0:
        return st.slices(0) | masks
    indices = st.lists(st.integers(-n, n - 1), max_size=2 * n).map(lambda i: np.array(i, np.int64))
    return st.slices(n) | masks | indices


cuts = st.builds(Cut, pt_min=st.floats(0, 60), abs_eta_max=st.none() | st.floats(0.1, 2.5))
requirements = st.builds(
    Requirement,
    collection=st.sampled_from(OBJECTS),
    pt_min=st.floats(0, 60),
    abs_eta_max=st.none() | st.floats(0.1, 2.5),
    count=st.integers(1, 3),
)
selections = st.builds(
    Selection,
    objects=st.dictionaries(st.sampled_from(OBJECTS), cuts),
    any_of=st.lists(requirements, max_size=2).map(tuple),
    all_of=st.lists(requirements, max_size=1).map(tuple),
)
