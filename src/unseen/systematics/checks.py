"""What is refused before and after a distortion, and by which words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import NonFiniteError, NuisanceError, NuisanceRangeError, ShapeError, WeightError, did_you_mean
from unseen.events import Events
from unseen.systematics.base import Nuisance

__all__ = [
    "SAMPLED",
    "checked_nu",
    "columns_there",
    "finite",
    "nominal",
    "only_weights",
    "processes_there",
    "sampled",
    "unique_names",
    "unmoved",
]

SAMPLED = 64  # events on which the identity at zero is checked in every call


def unique_names(nuisances: Sequence[Nuisance]) -> None:
    """NuisanceError if two nuisances have one name."""
    names = [nuisance.name for nuisance in nuisances]
    for name in names:
        if names.count(name) > 1:
            raise NuisanceError(f"{names.count(name)} nuisances are called '{name}'; give each its own name (`label`)")


def checked_nu(nu: ArrayLike, n: int, nuisances: Sequence[Nuisance], limit: float) -> NDArray[np.float32]:
    """nu as float32 (n, k), from (n, k), or (k,) for all events.

    Errors: ShapeError, NonFiniteError, NuisanceRangeError (further than `limit` prior widths from the prior's mean).
    """
    k = len(nuisances)
    values = np.asarray(nu, dtype=np.float32)
    if values.shape not in ((n, k), (k,)):
        names = ", ".join(nuisance.name for nuisance in nuisances)
        raise ShapeError(
            f"nu has shape {values.shape}; {n} events and {k} nuisances ({names}) need ({n}, {k}) or ({k},)"
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(np.atleast_2d(values)))[0]
        raise NonFiniteError(f"nu of '{nuisances[column].name}', row {row}, is {np.atleast_2d(values)[row, column]}")
    values = np.array(np.broadcast_to(values, (n, k)))
    for column, nuisance in enumerate(nuisances):
        away = np.abs(values[:, column] - nuisance.prior.mean) / nuisance.prior.width
        if n and away.max() > limit:
            raise NuisanceRangeError(
                f"nu of '{nuisance.name}' is {values[away.argmax(), column]:g}, more than {limit:g} prior widths "
                f"from its mean {nuisance.prior.mean:g}: no distortion is meant for that. Raise `limit` if it is"
            )
    return values


def sampled(n: int) -> NDArray[np.intp]:
    """Rows of n, spread over all of them, on which the identity at zero is checked."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, SAMPLED)).astype(np.intp))


def only_weights(before: ArrayLike, after: ArrayLike, nuisance: Nuisance, what: str) -> None:
    """NuisanceError if a nuisance that should change weights alone changes events."""
    if not np.array_equal(np.asarray(before), np.asarray(after), equal_nan=True):
        raise NuisanceError(
            f"nuisance '{nuisance.name}' is of the kind '{nuisance.kind}' and changes {what}: only weights may "
            "change, or its kind is 'shape'"
        )


def unmoved(before: ArrayLike, after: ArrayLike, name: str, what: str, rows: NDArray[np.intp]) -> None:
    """NuisanceError unless nothing changed at nu = 0, bit for bit. `rows`: where these events are among all."""
    a, b = np.asarray(before), np.asarray(after)
    if a.shape != b.shape:
        raise ShapeError(f"nuisance '{name}' turns {what} of shape {a.shape} into {b.shape}; the shape has to stay")
    if np.isfinite(a).all():
        finite(b, name, what)
    if not np.array_equal(a, b, equal_nan=True):
        row = int(rows[np.argwhere(a != b)[0][0]])
        raise NuisanceError(
            f"nuisance '{name}' is not the identity at nu = 0: {what} of event {row} change by up to "
            f"{np.nanmax(np.abs(b.astype(float) - a.astype(float))):.3g}. Write the change as something times nu"
        )


def finite(values: ArrayLike, name: str, what: str) -> None:
    """NonFiniteError if a distortion made NaN or infinite values."""
    good = np.isfinite(np.asarray(values))
    if not good.all():
        row = int(np.argwhere(~good)[0][0])
        raise NonFiniteError(f"nuisance '{name}' makes {what} of event {row} that are not finite")


def nominal(events: Events) -> None:
    """NuisanceError if the events have been distorted before: distortions of distortions have no nu."""
    if events.nu.shape[1] and (events.nu != 0).any():
        raise NuisanceError(
            "these events were distorted before (their nu is not 0); distort the nominal ones, all nuisances at once"
        )


def processes_there(processes: Iterable[str], nuisances: Iterable[Nuisance], where: str) -> None:
    """NuisanceError if a nuisance names a process that is not among the `processes` of `where`."""
    known = tuple(processes)
    for nuisance in nuisances:
        for name in nuisance.config.labels if nuisance.config is not None else ():
            if name not in known:
                raise NuisanceError(
                    f"nuisance '{nuisance.name}': no process '{name}' in {where}{did_you_mean(name, known)}"
                )


def columns_there(events: Events, nuisances: Sequence[Nuisance]) -> None:
    """Errors: NuisanceError (a record column is missing or of the wrong shape), WeightError (a weight ratio <= 0)."""
    for nuisance in nuisances:
        for column in nuisance.columns:
            if column == "label":
                continue
            if column not in events.record:
                raise NuisanceError(
                    f"nuisance '{nuisance.name}' needs the column '{column}' in the events' record, which has "
                    f"{', '.join(events.record) or 'none'}"
                )
            values = np.asarray(events.record[column])
            finite(values, nuisance.name, f"values of the column '{column}'")
            expected = events.objects.shape if nuisance.kind == "shape" else (len(events),)
            if values.shape != expected:
                raise ShapeError(
                    f"column '{column}' of nuisance '{nuisance.name}' has shape {values.shape}, expected {expected}"
                )
            if nuisance.kind == "weight" and (values <= 0).any():
                row = int((values <= 0).argmax())
                raise WeightError(
                    f"column '{column}' of nuisance '{nuisance.name}': the weight ratio of event {row} is "
                    f"{values[row]:g}; ratios have to be positive to be interpolated: clip or leave out such events"
                )
