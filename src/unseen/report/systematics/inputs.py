"""Everything that the page on systematic uncertainties shows, as plain arrays and mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError

__all__ = ["SystematicsInputs"]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class SystematicsInputs:
    """The content of the page; nu is in standard deviations of the priors throughout.

    result     JSON form of a profiled SearchResult, with `ignored` beside it
    names      the k nuisance parameters of the density ratio; values: the v values of nu at which each was moved alone
    z          (n, d) nominal events, `weight` (n,), zero where an event is not selected
    z_at       (k, v, n, d) the same events at the values, `weight_at` (k, v, n)
    log_ratio  (k, v, n) the ratio's log r(z; nu) of the nominal events
    overlaps   one mapping for each signal: `signal`, and the fields of an Overlap; notes: why a signal has none
    impacts    one mapping for each search: the fields of an Impact, the full search first; empty where none was made
    true_nu    the values that pseudo-data were made with, by name

    Errors: ShapeError, NonFiniteError, NotEnoughEventsError.
    """

    title: str
    result: Mapping[str, Any]
    names: tuple[str, ...]
    values: tuple[float, ...]
    z: Floats
    weight: Floats
    z_at: Floats
    weight_at: Floats
    log_ratio: Floats
    overlaps: tuple[Mapping[str, Any], ...] = ()
    impacts: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    true_nu: Mapping[str, float] = field(default_factory=dict)
    axis_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.z.ndim != 2 or self.z.shape[1] == 0:
            raise ShapeError(f"z has shape {self.z.shape}; expected (n, d) with d > 0")
        moved = (len(self.names), len(self.values), len(self.z))
        shapes = {
            "weight": moved[2:],
            "z_at": (*moved, self.z.shape[1]),
            "weight_at": moved,
            "log_ratio": moved,
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}; expected {shape}")
        for name in ("z", *shapes):
            if not np.isfinite(getattr(self, name)).all():
                raise NonFiniteError(f"{name} holds values that are not finite")
        if not (self.weight > 0).any():
            raise NotEnoughEventsError("no nominal event is selected; the page needs at least one")
        if len(self.values) < 2 or list(self.values) != sorted(self.values):
            raise ShapeError(f"values {self.values} of nu have to be two or more, ascending")
        if self.axis_names and len(self.axis_names) != self.dimensions:
            raise ShapeError(f"{len(self.axis_names)} axis_names for {self.dimensions} columns")

    @property
    def dimensions(self) -> int:
        """Number d of columns of the embedding."""
        return int(self.z.shape[1])

    @property
    def selected(self) -> NDArray[np.bool_]:
        """Which events are selected at nu = 0, (n,)."""
        chosen: NDArray[np.bool_] = self.weight > 0
        return chosen

    def axis_name(self, column: int) -> str:
        """The name of a column of the embedding, ``z1`` and so on unless given."""
        return self.axis_names[column] if self.axis_names else f"z{column + 1}"
