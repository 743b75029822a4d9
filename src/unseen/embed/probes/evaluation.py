"""Everything that this package can say of a representation without a search, in one result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from unseen.embed.model import Model
from unseen.embed.probes.alignment import class_alignment
from unseen.embed.probes.checks import as_embedding, as_target, as_weight
from unseen.embed.probes.mixture import reweighted, shares_of
from unseen.embed.probes.probe import PROBES, probe
from unseen.embed.probes.rank import effective_rank
from unseen.embed.probes.result import ProbeResult
from unseen.embed.probes.separation import fisher_ratio, silhouette
from unseen.embed.probes.spread import directions, standardised
from unseen.embed.probes.uniformity import uniformity
from unseen.errors import ConfigError, NotEnoughEventsError
from unseen.events import Events
from unseen.registry import lookup
from unseen.seeds import generator

__all__ = ["MOST_EVENTS", "Evaluation", "evaluate", "evaluate_arrays"]

MOST_EVENTS = 100_000
RAW_PROBES = ("linear", "trees")
BLOCK = 16384  # events at once: features of pairs of objects take room


@dataclass(frozen=True)
class Evaluation:
    """Probes and measures of one embedding.

    events     class name -> events used; dimensions: columns of the embedding
    mixture    class name -> share that everything was weighted to, or None for the sample's own composition
    probes     name of a probe -> its scores on the embedding
    raw        the same on the inputs of the encoder, for comparison; empty if not asked for
    measures   name -> value, None where it is not defined
    seed       with which it can be made again
    """

    events: dict[str, int]
    dimensions: int
    mixture: dict[str, float] | None
    probes: dict[str, ProbeResult]
    measures: dict[str, float | None]
    seed: int
    raw: dict[str, ProbeResult] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Evaluation:
        """The result that `to_json` wrote."""
        parts = {
            name: {key: ProbeResult(**value) for key, value in content[name].items()} for name in ("probes", "raw")
        }
        return cls(**{**content, **parts})


def evaluate(
    model: Model,
    events: Events,
    *,
    mixture: Mapping[str, float] | None = None,
    probes: Sequence[str] = tuple(PROBES),
    raw: bool = True,
    seed: int = 0,
    test_fraction: float = 0.3,
    max_events: int | None = MOST_EVENTS,
) -> Evaluation:
    """Judge a trained model by labelled simulation that it was not trained on.

    `mixture`: process -> share, e.g. `{"w": 0.592, "qcd": 0.338, "z": 0.067, "tt": 0.003}`; processes that it does not
    name are left out. Without it the events count as they come, with their weights. `raw` also probes the encoder's
    inputs, linearly and with boosted trees. Of more than `max_events` events a random part is used; rows that share
    `record["source"]` are copies of one generated event and stay together.
    Errors: as `probe`; SchemaError (as `Model.check`).
    """
    model.check(events)
    _check(mixture, [events.label_names[code] for code in np.unique(events.label)], probes)
    if mixture is not None:
        events = events.of(*(name for name, share in mixture.items() if share > 0))
    groups = np.asarray(events.record.get("source", np.arange(len(events))))
    rows = _some(groups, max_events, seed)
    events, groups = events[rows], groups[rows]
    options: dict[str, Any] = {
        "mixture": mixture,
        "seed": seed,
        "test_fraction": test_fraction,
        "groups": groups,
        "weight": events.weight,
    }
    target, names = events.label, events.label_names
    found = evaluate_arrays(model.embed(events), target, names, probes=probes, **options)
    if not raw:
        return found
    inputs = _inputs(model, events)
    scores = {name: probe(name, inputs, target, names, **options) for name in RAW_PROBES}
    return Evaluation(**{**_fields(found), "raw": scores})


def evaluate_arrays(
    z: ArrayLike,
    target: ArrayLike,
    names: Sequence[str],
    *,
    mixture: Mapping[str, float] | None = None,
    probes: Sequence[str] = tuple(PROBES),
    weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    test_fraction: float = 0.3,
) -> Evaluation:
    """The same for any embedding z (n, d) of events with classes `target` (n,), indexes of `names`."""
    x = as_embedding(z)
    y, w = as_target(target, len(x), len(names)), as_weight(weight, len(x))
    present = [name for i, name in enumerate(names) if (y == i).any()]
    _check(mixture, present, probes)
    scores = {
        name: probe(name, x, y, names, seed=seed, test_fraction=test_fraction, groups=groups, weight=w, mixture=mixture)
        for name in probes
    }
    if mixture is not None:
        shares = np.array([mixture.get(name, 0.0) for name in names])
        w = reweighted(w, y, shares / shares.sum())
    used = w > 0
    counts = np.bincount(y[used], minlength=len(names))
    return Evaluation(
        events={name: int(n) for name, n in zip(names, counts, strict=True) if n},
        dimensions=x.shape[1],
        mixture=None if mixture is None else dict(zip(present, shares_of(mixture, present).tolist(), strict=True)),
        probes=scores,
        measures=measures(x[used], y[used], w[used], seed),
        seed=seed,
    )


def measures(
    z: NDArray[np.float64], target: NDArray[np.int64], weight: NDArray[np.float64], seed: int = 0
) -> dict[str, float | None]:
    """Every measure of z (n, d) by name; on directions they are None where an event lies at the origin."""
    plain = standardised(z, weight)
    on_sphere = directions(z) if (np.abs(z).max(axis=1) > 0).all() else None
    return {
        "alignment": class_alignment(plain, target, weight),
        "uniformity": uniformity(plain, weight, seed=seed),
        "alignment_directions": None if on_sphere is None else class_alignment(on_sphere, target, weight),
        "uniformity_directions": None if on_sphere is None else uniformity(on_sphere, weight, seed=seed),
        "effective_rank": effective_rank(z, weight),
        "fisher_ratio": fisher_ratio(z, target, weight),
        "silhouette": silhouette(plain, target, seed),
    }


def _check(mixture: Mapping[str, float] | None, names: Sequence[str], probes: Sequence[str]) -> None:
    for name in probes:
        lookup(name, PROBES, "probe")
    if mixture is not None:
        shares_of(mixture, names)


def _some(groups: NDArray[Any], most: int | None, seed: int) -> NDArray[np.bool_]:
    """Rows of random whole groups, about `most` of them."""
    if most is None or len(groups) <= most:
        return np.ones(len(groups), np.bool_)
    if most < 2:
        raise ConfigError(f"max_events is {most}; it must be 2 or more")
    unique, code = np.unique(groups, return_inverse=True)
    kept = round(len(unique) * most / len(groups))
    if kept < 2:
        raise NotEnoughEventsError(f"max_events {most} leaves fewer than two generated events; allow more")
    rows: NDArray[np.bool_] = (generator(seed, "evaluate", "some").permutation(len(unique)) < kept)[code]
    return rows


def _inputs(model: Model, events: Events) -> NDArray[np.float64]:
    """What the encoder is fed (n, columns): features of the objects, 0 where absent; which are present; of the event.

    Not the features of pairs, which `pair-transformer` makes of the objects itself.
    """
    inputs, blocks = model.network.cpu().eval().inputs, []
    for i in range(0, len(events), BLOCK):
        x, present = torch.tensor(events.objects[i : i + BLOCK]), torch.tensor(events.present[i : i + BLOCK])
        with torch.inference_mode():
            fed = inputs(x, present)
            blocks.append(fed.beside(torch.cat([fed.objects.flatten(1), fed.present], dim=1)).double().numpy())
    return np.concatenate(blocks)


def _fields(found: Evaluation) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("events", "dimensions", "mixture", "probes", "measures", "seed")}
