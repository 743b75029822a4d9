"""Small studies on invented collisions: three background processes, two signals, in the ADC2021 file layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from unseen.events import ADC2021
from unseen.events.adc2021 import DATASET

# Mean MET, mean number of electrons, muons and jets, and the hardness of all objects (GeV).
PROCESSES: dict[str, tuple[float, float, float, float, float]] = {
    "w": (30.0, 0.4, 0.6, 0.5, 25.0),
    "qcd": (10.0, 0.1, 0.1, 3.0, 30.0),
    "z": (8.0, 0.9, 1.1, 0.7, 30.0),
    "heavy": (60.0, 1.5, 1.5, 2.0, 80.0),
    "soft": (12.0, 0.2, 3.0, 1.0, 20.0),
}
MIXTURE = {"w": 0.5, "qcd": 0.3, "z": 0.2}
SEEDS = {name: i for i, name in enumerate(PROCESSES)}


def particles(process: str, n: int, seed: int) -> np.ndarray:
    """n collisions (n, 19, 4) with a lepton that meets the trigger."""
    met, electrons, muons, jets, hardness = PROCESSES[process]
    rng = np.random.default_rng([SEEDS[process], seed])
    x = np.zeros((n, ADC2021.n_slots, 4), np.float32)
    counts = {"met": np.ones(n, int), "electrons": rng.poisson(electrons, n), "muons": 1 + rng.poisson(muons, n)}
    counts["jets"] = rng.poisson(jets, n)
    for collection in ADC2021.collections:
        slots = ADC2021.slots(collection.name)
        size = (n, collection.slots)
        scale = met if collection.name == "met" else hardness
        pt = -np.sort(-(rng.exponential(scale, size) + 32.0), axis=1)
        eta = np.zeros(size) if collection.name == "met" else rng.normal(0, 0.8, size).clip(-2, 2)
        values = np.stack([pt, eta, rng.uniform(-np.pi, np.pi, size), np.full(size, collection.type)], axis=-1)
        there = np.arange(collection.slots) < counts[collection.name][:, None]
        x[:, slots] = np.where(there[..., None], values, 0.0)
    return x


def write_files(folder: Path, sizes: dict[str, int], seed: int = 0) -> dict[str, str]:
    """A file for each process; returns their names."""
    for process, n in sizes.items():
        with h5py.File(folder / f"{process}.h5", "w") as file:
            file.create_dataset(DATASET, data=particles(process, n, seed))
            file.attrs["process"] = process
    return {process: str(folder / f"{process}.h5") for process in sizes}


SIZES = {"w": 1600, "qcd": 1000, "z": 700, "heavy": 400, "soft": 400}


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """A study of seconds; files as `write_files(folder, SIZES)` has written them."""
    content: dict[str, Any] = {
        "name": "Small <study>",
        "out": str(folder / "study"),
        "seed": 3,
        "files": {"test": {name: [str(folder / f"{name}.h5")] for name in SIZES}},
        "signals": ["heavy", "soft"],
        "pools": {"mixture": MIXTURE, "train": 600, "settings": 125, "reference": 600, "toys": 300},
        "power": {
            "n_data": 100,
            "toys": 20,
            "null_toys": 600,
            "n_centers": 25,
            "widths": [1.0, 3.0],
            "normalisations": ["known"],
            "ceiling": False,
        },
        "grid": {
            "base": {"epochs": 1, "batch_size": 128, "device": "cpu", "encoder": {"name": "mlp", "hidden": [8]}},
            "axes": {"encoder.dim": [2, 3]},
        },
        "representations": ["leading_pt"],
        "representation_widths": ["several"],
    }
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) and key in content else value
    return content
