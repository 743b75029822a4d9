"""Measure the scaling of inputs on a training sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.embed.inputs.base import Features, Inputs, InputsConfig
from unseen.embed.inputs.kinematics import pair_features, transverse_slots
from unseen.embed.inputs.plain import PlainConfig
from unseen.embed.inputs.scaling import UNSCALED_PAIRS, PairScale, Scaling
from unseen.errors import NonFiniteError
from unseen.events import Events, Schema
from unseen.events.normalisation import Normalisation

__all__ = ["learn_scaling", "plain_scaling", "scaled_inputs"]

BLOCK = 16384  # events at once, so that a memory-mapped sample is never in memory as a whole


def scaled_inputs(config: InputsConfig, schema: Schema, log_pt: bool, scaling: Scaling) -> Inputs:
    """The inputs with these numbers; ConfigError, SchemaError as `InputsConfig.build`."""
    inputs = config.build(schema, log_pt)
    inputs.scale(scaling, schema)
    return inputs


def plain_scaling(normalisation: Normalisation) -> Scaling:
    """The scaling of `plain`: the numbers of the normalisation."""
    return Scaling(mean=normalisation.mean, deviation=normalisation.deviation)


def learn_scaling(config: InputsConfig, events: Events, normalisation: Normalisation, pairs: bool = False) -> Scaling:
    """Mean and standard deviation of every feature over the events where it is defined; every event counts once.

    `normalisation` is that of the same events; `plain` takes its numbers. `pairs`: measure pair features too.
    A feature without spread gets the deviation 1. Errors: NonFiniteError (a feature of an event is not finite).
    """
    pair_scale = _pair_scale(events) if pairs else UNSCALED_PAIRS
    if isinstance(config, PlainConfig):
        return plain_scaling(normalisation).model_copy(update={"pair_scale": pair_scale})
    inputs = config.build(events.schema, normalisation.log_pt)
    schema, kinds = events.schema, list(dict.fromkeys(inputs.kinds))
    objects = [_Moments(inputs.n_features) for _ in schema.collections]
    event = {kind: _Moments(1) for kind in kinds}
    for raw, present in _blocks(events, inputs):
        for moments, collection in zip(objects, schema.collections, strict=True):
            at = schema.slots(collection.name)
            moments.add(raw.objects[:, at][present[:, at]])
        if raw.event is not None and raw.defined is not None:
            for kind in kinds:
                columns = [i for i, name in enumerate(inputs.kinds) if name == kind]
                event[kind].add(raw.event[:, columns][raw.defined[:, columns]][:, None])
    return Scaling(
        mean=tuple(tuple(m.mean.tolist()) for m in objects),
        deviation=tuple(tuple(m.deviation.tolist()) for m in objects),
        event_mean=tuple(float(event[kind].mean[0]) for kind in inputs.kinds),
        event_deviation=tuple(float(event[kind].deviation[0]) for kind in inputs.kinds),
        pair_scale=pair_scale,
    )


class _Moments:
    """Mean and deviation of rows that come in blocks (Chan, Golub and LeVeque 1983)."""

    def __init__(self, n: int):
        self.count, self.mean, self.squares = 0, np.zeros(n), np.zeros(n)
        self.low, self.high = np.full(n, np.inf), np.full(n, -np.inf)

    def add(self, rows: Tensor) -> None:
        x = rows.double().numpy()
        if not len(x):
            return
        if not np.isfinite(x).all():
            raise NonFiniteError("a feature of the training sample is not finite: an object of it is beyond float32")
        n = len(x)
        shift, self.count = x.mean(axis=0) - self.mean, self.count + n
        self.squares += ((x - x.mean(axis=0)) ** 2).sum(axis=0) + shift**2 * n * (self.count - n) / self.count
        self.mean = self.mean + shift * n / self.count
        self.low, self.high = np.minimum(self.low, x.min(axis=0)), np.maximum(self.high, x.max(axis=0))

    @property
    def deviation(self) -> NDArray[np.float64]:
        # Rounding leaves a tiny spread on a constant; the range does not. Nothing measured has no spread either.
        spread = np.sqrt(self.squares / max(1, self.count))
        return np.where((self.high > self.low) & (spread > 0), spread, 1.0)


def _blocks(events: Events, inputs: Inputs) -> Iterator[tuple[Features, Tensor]]:
    with torch.no_grad():
        for i in range(0, len(events), BLOCK):
            x, present = torch.tensor(events.objects[i : i + BLOCK]), torch.tensor(events.present[i : i + BLOCK])
            yield inputs.features(torch.where(present[..., None], x, 0.0), present), present


def _pair_scale(events: Events) -> PairScale:
    schema, moments = events.schema, _Moments(2)
    kinematic = [schema.feature(name) for name in ("pt", "eta", "phi")]
    transverse = torch.from_numpy(transverse_slots(schema))
    first, second = np.triu_indices(schema.n_slots, 1)
    for i in range(0, len(events), BLOCK):
        x, present = events.objects[i : i + BLOCK][..., kinematic], events.present[i : i + BLOCK]
        event, pair = np.nonzero(present[:, first] & present[:, second])
        one, other = (torch.from_numpy(x[event, side[pair]]) for side in (first, second))
        moments.add(pair_features(one, other, transverse[first[pair]] | transverse[second[pair]]))
    (m, r), (dm, dr) = moments.mean.tolist(), moments.deviation.tolist()
    return ((m, r), (dm, dr))
