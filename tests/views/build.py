"""Events of the ADC2021 layout for the tests of views, as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.events import ADC2021, Events
from unseen.events.normalisation import Normalisation
from unseen.registry import resolve
from unseen.views import VIEWS, View, Viewed

LOW = {"met": 0.0, "electrons": 3.0, "muons": 3.0, "jets": 30.0}
EDGE = {"met": 0.0, "electrons": 3.0, "muons": 2.1, "jets": 4.0}
MEAN = {"met": 1.0, "electrons": 1.0, "muons": 1.0, "jets": 3.0}


def events(n: int, seed: int = 0) -> Events:
    """n events that pass the object selection, in descending pt, every one with MET and at least one object."""
    rng = np.random.default_rng(seed)
    objects, present = np.zeros((n, 19, 3)), np.zeros((n, 19), dtype=bool)
    for c in ADC2021.collections:
        slots = ADC2021.slots(c.name)
        shape = (n, c.slots)
        pt = np.sort(LOW[c.name] + 0.01 + rng.exponential(30.0, shape), axis=1)[:, ::-1]
        eta = rng.uniform(-EDGE[c.name], EDGE[c.name], shape)
        objects[:, slots] = np.stack([pt, eta, rng.uniform(-np.pi, np.pi, shape)], axis=-1)
        count = np.ones(n) if c.name == "met" else rng.poisson(MEAN[c.name], n)
        present[:, slots] = np.arange(c.slots) < count[:, None]
    present[~present[:, 1:].any(axis=1), 9] = True
    return Events.create(ADC2021, objects, present)


def tensors(sample: Events) -> tuple[Tensor, Tensor]:
    return torch.tensor(sample.objects), torch.tensor(sample.present)


def build(settings: object, log_pt: bool = True) -> View:
    """A view by name or mapping, for the ADC2021 layout."""
    return resolve(settings, VIEWS, "view").build(ADC2021, Normalisation.fit(events(500, seed=9), log_pt=log_pt))


def seen(settings: object, sample: Events, seed: int = 0) -> Viewed:
    return build(settings)(*tensors(sample), torch.Generator().manual_seed(seed))
