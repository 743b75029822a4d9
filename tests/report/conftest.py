from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unseen.events import ADC2021, Events
from unseen.report import ReportInputs

RESULT: dict[str, Any] = {
    "p_value": 0.02,
    "z": 2.054,
    "z_interval": [1.9, 2.3],
    "p_interval": [0.011, 0.029],
    "p_resolution": 1 / 201,
    "at_resolution": False,
    "calibration": "toys",
    "statistic": "converged",
    "normalisation": "known",
    "combination": "smallest_p",
    "t": [40.0, 21.0],
    "widths": [0.5, 2.0],
    "p_per_width": [0.3, 0.01],
    "best_width": 1,
    "converged": True,
    "n_reference": 600,
    "n_data": 150,
    "expected": 140.0,
    "n_toys": 200,
    "checks": {"pool_overlap": 0.02, "settings_from_reference": False, "null_moments": {"passed": True}},
}


def toy_events(n: int, rng: np.random.Generator, names: tuple[str, ...]) -> Events:
    """n events with one muon, missing momentum and a few jets; the last label of `names` has two muons."""
    objects = np.zeros((n, ADC2021.n_slots, 3), np.float32)
    present = np.zeros(objects.shape[:2], bool)
    label = rng.integers(len(names), size=n)
    slots = {"met": 1, "muons": np.where(label == len(names) - 1, 2, 1), "jets": rng.integers(0, 4, size=n)}
    for name, number in slots.items():
        where = ADC2021.slots(name)
        filled = np.arange(where.stop - where.start) < np.broadcast_to(number, (n,))[:, None]
        present[:, where] = filled
        size = filled.shape
        values = np.stack([25 + rng.exponential(20, size), rng.normal(0, 1, size), rng.uniform(-3, 3, size)], axis=-1)
        objects[:, where] = np.where(filled[..., None], values, 0.0)
    return Events.create(ADC2021, objects, present, label=label, label_names=names)


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., ReportInputs]:
    def make(
        d: int = 2, n_reference: int = 600, n_data: int = 150, n_widths: int = 2, events: bool = True, **changes: Any
    ) -> ReportInputs:
        rng = np.random.default_rng(5)
        z_reference = rng.normal(size=(n_reference, d)).astype(np.float32)
        z_data = (rng.normal(size=(n_data, d)) + 0.2).astype(np.float32)
        content: dict[str, Any] = {
            "title": "A <small> rehearsal & more",
            "result": RESULT,
            "null_t": rng.chisquare(12, size=(200, n_widths)),
            "z_reference": z_reference,
            "z_data": z_data,
            "weight_reference": np.full(n_reference, 140.0 / n_reference),
            "f_reference": 0.3 * z_reference[:, 0],
            "f_data": 0.3 * z_data[:, 0],
            "reference": toy_events(n_reference, rng, ("w", "qcd", "z")) if events else None,
            "data": toy_events(n_data, rng, ("w", "qcd", "z", "ato4l")) if events else None,
            "signal_label": "ato4l" if events else None,
        }
        return ReportInputs(**{**content, **changes})

    return make
