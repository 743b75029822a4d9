"""Representations that nobody trained: what an embedding has to beat."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.embed.inputs import PhysicsConfig, learn_scaling, scaled_inputs
from unseen.errors import SchemaError
from unseen.events import Events
from unseen.events.normalisation import Normalisation

__all__ = ["REPRESENTATIONS", "Representation", "everything", "leading_pt", "raw"]

Floats = NDArray[np.float64]
Representation = Callable[[Events, Events], Floats]
LEPTONS = ("electrons", "muons")
N_LEPTONS, N_JETS = 2, 3
ROWS = 16_384  # events whose features are computed at once


def raw(events: Events, train: Events) -> Floats:
    """All inputs as an encoder gets them (n, slots x features), side by side: log pt, standardised, absent ones 0."""
    x = Normalisation.fit(train).apply(events.objects, events.present)
    return x.reshape(len(events), -1).astype(np.float64)


def everything(events: Events, train: Events) -> Floats:
    """All that a classifier may want to know (n, columns): raw inputs, which objects are there, and physics features.

    Masses, angles between objects, sums and transverse masses are functions of the raw inputs, but trees and small
    networks do not find them by themselves. A layout without what they need gives raw inputs and presence.
    """
    parts = [raw(events, train), events.present.astype(np.float64)]
    with contextlib.suppress(SchemaError):
        parts.append(_physics(events, train))
    return np.hstack(parts)


def _physics(events: Events, train: Events) -> Floats:
    config = PhysicsConfig()
    scaling = learn_scaling(config, train, Normalisation.fit(train, log_pt=True))
    inputs = scaled_inputs(config, events.schema, True, scaling)
    fed = [
        inputs(torch.tensor(events.objects[i : i + ROWS]), torch.tensor(events.present[i : i + ROWS])).event
        for i in range(0, len(events), ROWS)
    ]
    found: Floats = torch.cat(fed).double().numpy()
    return found


def leading_pt(events: Events, train: Events) -> Floats:
    """log(1 + pt / GeV) of MET, the two leading leptons of either flavour and the three leading jets, 0 if absent.

    (n, 6); the "6 leading pt" of arXiv:2502.15926. Raises SchemaError for a layout without MET or jets.
    """
    leptons = np.hstack([events.get(name, "pt") for name in LEPTONS if events.schema.has(name)] or [_none(events)])
    parts = (events.get("met", "pt")[:, :1], _leading(leptons, N_LEPTONS), _leading(events.get("jets", "pt"), N_JETS))
    return np.log1p(np.hstack(parts).astype(np.float64))


def _none(events: Events) -> NDArray[np.float32]:
    return np.zeros((len(events), 0), np.float32)


def _leading(pt: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The `count` largest of each row in falling order, padded with zeros."""
    ordered = -np.sort(-pt, axis=1)[:, :count]
    return np.pad(ordered, ((0, 0), (0, count - ordered.shape[1])))


# Extending: a function of the events and of the training events (for units), and one line here.
REPRESENTATIONS: dict[str, Representation] = {"raw": raw, "leading_pt": leading_pt}
