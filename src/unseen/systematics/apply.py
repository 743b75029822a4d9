"""Nuisances on data: events in blocks through tensors, plain arrays directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.errors import NuisanceError, ShapeError, WeightError
from unseen.events import Events, Schema
from unseen.systematics import checks
from unseen.systematics.base import Nuisance
from unseen.systematics.batch import Batch, start
from unseen.systematics.finish import finish, selected
from unseen.systematics.migration import FLAG

__all__ = ["array_factor", "event_factor", "run", "to_array", "to_events"]

BLOCK = 16384  # events at a time: what a core's cache and memory like; the result does not depend on it


def run(
    nuisances: Sequence[Nuisance],
    schema: Schema,
    objects: Tensor,
    present: Tensor,
    nu: Tensor,
    columns: Mapping[str, Tensor] | None,
    classes: Sequence[str],
    seed: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Objects, present and weight factor (b,) of one batch at nu (b, k)."""
    batch = start(schema, objects, present, columns, classes, seed)
    for column, nuisance in enumerate(nuisances):
        batch = _step(nuisance, batch, nu[:, column])
    return *finish(batch, (nu != 0).any(dim=1)), batch.log_weight.exp()


def _step(nuisance: Nuisance, batch: Batch, nu: Tensor) -> Batch:
    if nuisance.takes != "events":
        raise NuisanceError(
            f"nuisance '{nuisance.name}' acts on plain arrays, not on events; set takes='events' and work on a Batch"
        )
    if nuisance.config is not None:
        nuisance.config.collections(batch.schema)
    after = nuisance.distort(batch, nu)
    if not isinstance(after, Batch):
        raise NuisanceError(f"nuisance '{nuisance.name}' returned {type(after).__name__}; it has to return a Batch")
    return after


def to_events(nuisances: Sequence[Nuisance], events: Events, nu: NDArray[np.float32], seed: int) -> Events:
    """Events at nu (n, k): see `NuisanceSet.distort`."""
    _check_events(nuisances, events)
    parts = [_block(nuisances, events, nu, rows, seed) for rows in _blocks(len(events))]
    objects, present, factor, flag = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not (np.isfinite(objects).all() and np.isfinite(factor).all()):
        _name_culprit(nuisances, events, nu, seed)
    return Events.create(
        events.schema,
        objects,
        present,
        label=events.label,
        label_names=events.label_names,
        weight=events.weight * factor,
        nu=nu,
        record={**events.record, FLAG: flag},
    )


def event_factor(nuisances: Sequence[Nuisance], events: Events, nu: NDArray[np.float32]) -> NDArray[np.float64]:
    """Factors (n,) on the weights of events."""
    _check_events(nuisances, events)
    parts = [_block(nuisances, events, nu, rows, 0)[2] for rows in _blocks(len(events))]
    return np.concatenate(parts)


def _blocks(n: int) -> list[slice]:
    return [slice(first, first + BLOCK) for first in range(0, max(n, 1), BLOCK)]


def _tensors(nuisances: Sequence[Nuisance], events: Events) -> dict[str, Tensor]:
    names = dict.fromkeys(column for each in nuisances for column in each.columns)
    return {name: torch.tensor(events.label if name == "label" else np.asarray(events.record[name])) for name in names}


def _block(
    nuisances: Sequence[Nuisance], events: Events, nu: NDArray[np.float32], rows: slice, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
    part = events[rows]
    objects, present, factor = run(
        nuisances,
        part.schema,
        torch.tensor(part.objects),
        torch.tensor(part.present),
        torch.from_numpy(nu[rows]),
        _tensors(nuisances, part),
        part.label_names,
        seed,
    )
    flag = selected(part.schema, objects, present)
    return objects.numpy(), present.numpy(), factor.double().numpy(), flag.numpy()


def _check_events(nuisances: Sequence[Nuisance], events: Events) -> None:
    checks.nominal(events)
    checks.columns_there(events, nuisances)
    for nuisance in nuisances:
        if not _built_in(nuisance):
            _check_identity(nuisance, events, checks.sampled(len(events)))


def _built_in(nuisance: Nuisance) -> bool:
    """Whether tests have shown it to be the identity at nu = 0."""
    return nuisance.config is not None and type(nuisance.config).__module__.partition(".")[0] == "unseen"


def _check_identity(nuisance: Nuisance, sample: Events, rows: NDArray[np.intp]) -> None:
    events = sample[rows]
    batch = start(
        events.schema,
        torch.tensor(events.objects),
        torch.tensor(events.present),
        _tensors([nuisance], events),
        events.label_names,
    )
    after = _step(nuisance, batch, torch.zeros(len(events)))
    for what in ("objects", "present", "met_shift", "log_weight"):
        checks.unmoved(getattr(batch, what), getattr(after, what).detach(), nuisance.name, what, rows)
    if nuisance.kind != "shape":
        moved = _step(nuisance, batch, torch.ones(len(events)))
        for what in ("objects", "present", "met_shift"):
            checks.only_weights(getattr(batch, what), getattr(moved, what).detach(), nuisance, what)


def _name_culprit(nuisances: Sequence[Nuisance], events: Events, nu: NDArray[np.float32], seed: int) -> None:
    """Raise for the first nuisance that makes values that are not finite, alone or after those before it."""
    for count in range(1, len(nuisances) + 1):
        for rows in _blocks(len(events)):
            objects, _, factor, _ = _block(nuisances[:count], events, nu[:, :count], rows, seed)
            checks.finite(objects, nuisances[count - 1].name, "objects")
            checks.finite(factor, nuisances[count - 1].name, "weights")


def _on_arrays(nuisances: Sequence[Nuisance], x: NDArray[Any], shapes: bool) -> list[tuple[int, Nuisance]]:
    """The nuisances that move x, or those that weight it, with their column of nu; checked on some rows."""
    for nuisance in nuisances:
        if nuisance.takes != "arrays":
            raise NuisanceError(f"nuisance '{nuisance.name}' acts on events, not on plain arrays; give it Events")
    chosen = [(i, each) for i, each in enumerate(nuisances) if (each.kind == "shape") is shapes]
    rows = checks.sampled(len(x))
    head = np.asarray(x)[rows]
    for _, nuisance in chosen:
        zero = np.zeros(len(head), dtype=np.float32)
        expected = head if shapes else np.ones(len(head))
        after = np.asarray(nuisance.distort(head.copy(), zero))
        checks.unmoved(expected, after, nuisance.name, "values" if shapes else "weights", rows)
    return chosen


def to_array(nuisances: Sequence[Nuisance], x: NDArray[Any], nu: NDArray[np.float32]) -> NDArray[Any]:
    """A plain array (n, ...) at nu (n, k); its type stays. Rows with nu = 0 are the input bit for bit."""
    original = np.asarray(x)
    result = original.copy()
    for column, nuisance in _on_arrays(nuisances, original, shapes=True):
        moved = np.asarray(nuisance.distort(result.copy(), nu[:, column]))
        if moved.shape != original.shape:
            raise ShapeError(f"nuisance '{nuisance.name}' turns shape {original.shape} into {moved.shape}")
        checks.finite(moved, nuisance.name, "values")
        result = moved.astype(original.dtype)
    return result


def array_factor(nuisances: Sequence[Nuisance], x: NDArray[Any], nu: NDArray[np.float32]) -> NDArray[np.float64]:
    """Factors (n,) on the weights of the rows of an array."""
    result = np.ones(len(x))
    for column, nuisance in _on_arrays(nuisances, x, shapes=False):
        factor = np.asarray(nuisance.distort(np.asarray(x).copy(), nu[:, column]), dtype=np.float64)
        if factor.shape != (len(x),):
            raise ShapeError(f"nuisance '{nuisance.name}' gives weights of shape {factor.shape}, expected ({len(x)},)")
        checks.finite(factor, nuisance.name, "weights")
        if (factor <= 0).any():
            raise WeightError(f"nuisance '{nuisance.name}' gives weights that are not positive; try exp(s nu)")
        result *= factor
    return result
