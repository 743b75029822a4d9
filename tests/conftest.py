from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.events import ADC2021, Events, read

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    return DATA


@pytest.fixture(scope="session")
def w_events() -> Events:
    return read(DATA / "w.h5")


@pytest.fixture
def two_events() -> Events:
    """An event with MET, two muons and a jet, and one with MET and an electron."""
    objects = np.zeros((2, ADC2021.n_slots, 3), np.float32)
    present = np.zeros((2, ADC2021.n_slots), bool)
    filled = {0: {0: (40, 0, 1.0), 5: (50, 1.0, 0.0), 6: (45, -1.0, 3.0), 9: (60, 2.0, -1.0), 10: (25, 0.5, 2.0)}}
    filled[1] = {0: (10, 0, -2.0), 1: (30, 0.1, 0.5)}
    for event, slots in filled.items():
        for slot, values in slots.items():
            objects[event, slot], present[event, slot] = values, True
    return Events.create(ADC2021, objects, present, label=[0, 1], label_names=("z", "w"), record={"source": [7, 8]})
