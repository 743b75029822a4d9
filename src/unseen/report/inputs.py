"""Everything that a report shows, as plain arrays and mappings: no fitted object, no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.events.events import Events

__all__ = ["MAX_LOG_RATIO", "ReportInputs"]

Floats = NDArray[np.floating[Any]]
MAX_LOG_RATIO = 30.0  # exp f is cut off here so that sums stay finite


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportInputs:
    """The content of a report.

    result            JSON form of a SearchResult; optional keys may be missing
    null_t            (n_toys, n_widths) statistics of the toys; null_combined (n_toys,) and combined: the same for the
                      combination of all widths; larger is more anomalous
    z_reference       (n_R, d), z_data (n_D, d): the embedding; `axis_names` names its d columns
    weight_reference  (n_R,), summing to the expected number of data events
    f_reference       (n_R,), f_data (n_D,): learned log ratio at the best width
    reference, data   Events in the same order, or None where the sample is not of collisions
    signal_label      a label of `data`: shown as truth, never used in the verdict
    systematics_page  address and words of the page on systematic uncertainties, where there is one
    tuning_history    `FineTuned.history` where the embedding was fine-tuned; tuning: what a table says of it
    history           name -> one number per epoch (`train_loss`, `val_loss`, `epoch`); probe: name -> number

    Errors: ShapeError, NonFiniteError, NotEnoughEventsError.
    """

    title: str
    result: Mapping[str, Any]
    null_t: Floats
    z_reference: Floats
    z_data: Floats
    weight_reference: Floats
    f_reference: Floats
    f_data: Floats
    reference: Events | None = None
    data: Events | None = None
    null_combined: Floats | None = None
    combined: float | None = None
    signal_label: str | None = None
    history: Mapping[str, Any] | None = None
    probe: Mapping[str, Any] | None = None
    config_text: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    axis_names: tuple[str, ...] = ()
    systematics_page: tuple[str, str] | None = None
    tuning_history: Sequence[Mapping[str, Any]] = ()
    tuning: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_matrix("z_reference", self.z_reference)
        _check_matrix("z_data", self.z_data)
        if self.z_data.shape[1] != self.z_reference.shape[1]:
            raise ShapeError(f"z_data has {self.z_data.shape[1]} columns, z_reference {self.z_reference.shape[1]}")
        if self.axis_names and len(self.axis_names) != self.dimensions:
            raise ShapeError(f"{len(self.axis_names)} axis_names for {self.dimensions} columns")
        if self.null_t.ndim != 2:
            raise ShapeError(f"null_t has shape {self.null_t.shape}; expected (n_toys, n_widths)")
        for name, array in (("weight_reference", self.weight_reference), ("f_reference", self.f_reference)):
            _check_column(name, array, len(self.z_reference))
        _check_column("f_data", self.f_data, len(self.z_data))
        for name, events, n in (
            ("reference", self.reference, len(self.z_reference)),
            ("data", self.data, len(self.z_data)),
        ):
            if events is not None and len(events) != n:
                raise ShapeError(f"{name} has {len(events)} events but z_{name} has {n} rows")

    @property
    def dimensions(self) -> int:
        """Number of columns of the embedding."""
        return int(self.z_reference.shape[1])

    def axis_name(self, column: int) -> str:
        """The name of a column of the embedding, ``z1`` and so on unless given."""
        return self.axis_names[column] if self.axis_names else f"z{column + 1}"

    @property
    def reference_word(self) -> str:
        """What the reference is called in sentences."""
        return "simulation" if self.reference is not None else "reference"

    @property
    def ratio_reference(self) -> NDArray[np.float64]:
        """exp f of the reference events, cut off where it would overflow, (n_R,)."""
        ratio: NDArray[np.float64] = np.exp(np.clip(self.f_reference, -MAX_LOG_RATIO, MAX_LOG_RATIO, dtype=np.float64))
        return ratio

    @property
    def most_anomalous(self) -> NDArray[np.int64]:
        """Rows of the data from the highest f down, (n_D,)."""
        return np.argsort(-np.asarray(self.f_data, np.float64), kind="stable").astype(np.int64)

    @property
    def is_signal(self) -> NDArray[np.bool_] | None:
        """Which data events are the hidden signal, where that is known, (n_D,)."""
        if self.signal_label is None or self.data is None:
            return None
        names = np.array([name == self.signal_label for name in self.data.label_names], dtype=np.bool_)
        mask: NDArray[np.bool_] = names[self.data.label]
        return mask

    @property
    def best_width(self) -> int:
        """Index of the width that f belongs to."""
        if self.result.get("best_width") is not None:
            return int(self.result["best_width"])
        p = [1.0 if value is None else float(value) for value in self.result.get("p_per_width") or ()]
        return int(np.argmin(p)) if p else 0


def _check_matrix(name: str, array: Floats) -> None:
    if array.ndim != 2 or array.shape[1] == 0:
        raise ShapeError(f"{name} has shape {array.shape}; expected (n, d) with d > 0")
    if not len(array):
        raise NotEnoughEventsError(f"{name} has no rows; a report needs at least one event")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name} holds values that are not finite")


def _check_column(name: str, array: Floats, rows: int) -> None:
    if array.shape != (rows,):
        raise ShapeError(f"{name} has shape {array.shape}; expected ({rows},)")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name} holds values that are not finite")
