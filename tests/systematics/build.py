"""Events on which every nuisance has something to act, and one nuisance at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.events import ADC2021, Events
from unseen.systematics import NUISANCES, NuisanceConfig, NuisanceSet

SETTINGS: dict[str, dict[str, object]] = {
    "energy-scale": {"collection": "muons"},
    "weights": {"up": "isr_up", "down": "isr_down"},
    "variation": {"up": "jes_up", "down": "jes_down"},
}
MEAN = {"met": 1.0, "electrons": 1.0, "muons": 1.0, "jets": 3.0}


def events(n: int, seed: int = 0) -> Events:
    """n stored events (looser than the selection), in descending pt, with the columns that some nuisances read."""
    rng = np.random.default_rng(seed)
    objects, present = np.zeros((n, 19, 3), np.float32), np.zeros((n, 19), dtype=bool)
    for c in ADC2021.collections:
        slots, shape = ADC2021.slots(c.name), (n, c.slots)
        eta_max = c.abs_eta_max or 0.0
        pt = np.sort(c.pt_min + 0.01 + rng.exponential(20.0, shape), axis=1)[:, ::-1]
        eta = 0.999 * rng.uniform(-eta_max, eta_max, shape)
        objects[:, slots] = np.stack([pt, eta, rng.uniform(-3.14, 3.14, shape)], axis=-1)
        count = np.ones(n) if c.name == "met" else rng.poisson(MEAN[c.name], n)
        present[:, slots] = np.arange(c.slots) < count[:, None]
    objects[~present] = 0.0
    up, down = objects.copy(), objects.copy()
    up[:, ADC2021.slots("jets"), 0] *= 1.06
    down[:, ADC2021.slots("jets"), 0] *= 0.95
    ratio = rng.uniform(0.8, 1.3, (4, n))
    record = dict(zip(("isr_up", "isr_down", "fsr_up", "fsr_down"), ratio, strict=True))
    return Events.create(
        ADC2021,
        objects,
        present,
        label=np.arange(n) % 2,
        label_names=("w", "tt"),
        weight=rng.uniform(0.5, 2.0, n),
        record={"source": np.arange(n), "jes_up": up, "jes_down": down, **record},
    )


def config(name: str) -> NuisanceConfig:
    return NUISANCES[name].model_validate({"name": name, **SETTINGS.get(name, {})})


def one(name: str) -> NuisanceSet:
    return NuisanceSet([config(name)])


def tensors(sample: Events) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    columns = {name: torch.tensor(values) for name, values in sample.record.items()}
    return torch.tensor(sample.objects), torch.tensor(sample.present), {**columns, "label": torch.tensor(sample.label)}


def balance(sample: Events) -> np.ndarray:
    """MET plus the sum of all objects, (n, 2) in GeV: minus what is unclustered."""
    pt, phi = sample.objects[..., 0].astype(float), sample.objects[..., 2].astype(float)
    return np.stack([(pt * np.cos(phi)).sum(1), (pt * np.sin(phi)).sum(1)], axis=1)
