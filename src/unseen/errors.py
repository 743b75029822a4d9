"""Every error that a user can cause, in one place.

Each message names the thing, the value and the way out. The command line turns an `UnseenError` into one line and exit
code 2; anything else is a defect (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CalibrationError",
    "ClosureError",
    "ClusterError",
    "ConfigError",
    "ConvergenceError",
    "CorruptFileError",
    "DiskSpaceError",
    "ExportError",
    "MemoryBudgetError",
    "MissingExtraError",
    "MissingFileError",
    "NegativeWeightError",
    "NonFiniteError",
    "NotEnoughEventsError",
    "NotFittedError",
    "NuisanceError",
    "NuisanceRangeError",
    "OverlapError",
    "PythiaSettingsError",
    "SchemaError",
    "SelectionError",
    "ShapeError",
    "StoreMismatchError",
    "UnknownNameError",
    "UnknownProcessError",
    "UnseenError",
    "WeightError",
    "WorkerLostError",
    "WorkerVersionError",
    "did_you_mean",
]


class UnseenError(Exception):
    """Base of all errors that come from input or settings, not from a defect of the package."""


class ConfigError(UnseenError):
    """A configuration key or value is not valid."""


class MissingFileError(UnseenError):
    """A file or folder that was named does not exist."""


class CorruptFileError(UnseenError):
    """A file exists but is truncated, damaged, or does not match its recorded hash."""


class SchemaError(UnseenError):
    """Events do not have the collections, slots or features that were asked for."""


class SelectionError(UnseenError):
    """A selection names something that is not in the schema, or keeps no events."""


class ShapeError(UnseenError):
    """An array has the wrong number of dimensions, rows or columns."""


class NonFiniteError(UnseenError):
    """An array holds NaN or infinite values."""


class WeightError(UnseenError):
    """Event weights are unusable: zero sum, wrong length, or not finite."""


class NegativeWeightError(WeightError):
    """Event weights are negative where the method cannot use them."""


class NotEnoughEventsError(UnseenError):
    """A pool, reference or training sample has fewer events than was asked for."""


class OverlapError(UnseenError):
    """Two pools that must be disjoint share events."""


class NotFittedError(UnseenError):
    """A method was called before the one that it depends on."""


class NuisanceError(UnseenError):
    """A nuisance parameter is not usable: not the identity at zero, a name used twice, a prior of no width, ..."""


class NuisanceRangeError(NuisanceError):
    """A nuisance parameter was asked for at a value far outside its prior."""


class ClosureError(NuisanceError):
    """A density ratio does not close: events at nu differ from nominal ones weighted by it."""


class CalibrationError(UnseenError):
    """A calibration was asked for that fails its own check."""


class ConvergenceError(UnseenError):
    """A fit did not reach its minimum; no number from it can be trusted."""


class MemoryBudgetError(UnseenError):
    """The work does not fit in the memory budget that was set."""


class DiskSpaceError(UnseenError):
    """The disk is full; nothing half-written was left behind."""


class ExportError(UnseenError):
    """An exported graph cannot be made, or does not give the numbers of the model."""


class StoreMismatchError(UnseenError):
    """Toys on disk were made with another configuration."""


class MissingExtraError(UnseenError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ClusterError(UnseenError):
    """A cluster cannot be reached or started, or was lost."""


class WorkerLostError(UnseenError):
    """Workers died again and again; most often the machine's memory is short."""


class WorkerVersionError(UnseenError):
    """Workers have other versions of unseen, python, numpy or torch than the process that asks them."""


class UnknownNameError(UnseenError):
    """A name is not in a registry (encoder, objective, statistic, ...)."""


class UnknownProcessError(UnknownNameError):
    """A physics process is neither built in nor defined in the configuration."""


class PythiaSettingsError(UnseenError):
    """Pythia does not accept a setting or cannot initialise with it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else the list of known names."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(options)}" if options else ""
