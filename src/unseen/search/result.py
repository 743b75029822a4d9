"""What a test returns: a statistic with its fit, and the frozen result of a search."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from unseen.errors import CorruptFileError
from unseen.search.profile_report import Profile
from unseen.search.validate import Floats

__all__ = ["SearchResult", "Statistic"]


@dataclass(frozen=True)
class Statistic:
    """The statistic of one data set at every width, and the log density ratio behind it.

    t (n_widths,); f (n_widths, n_data) at the data events; coefficients: b (r,) of each width; linear (n_widths,): the
    linear statistic of the same data, or t itself where a `profile` of nuisance parameters is; z (n_data, d): the data
    in standardised units, `beside` (n_data, p) their columns psi. `converged` is always true (a fit that is not raises
    ConvergenceError); for `one_step` it says that the one linear system was solved.
    """

    t: Floats
    f: Floats
    converged: bool
    n_data: int
    mode: str
    widths: tuple[float, ...]
    coefficients: tuple[Floats, ...] = field(repr=False)
    linear: Floats
    z: Floats = field(repr=False)
    profile: Profile | None = None
    beside: Floats | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SearchResult:
    """The statement of a search. p-values are one-sided and z = Phi^-1(1 - p).

    p_value: (k + 1) / (n + 1) with k of n toys at least as anomalous; p_resolution = 1 / (n + 1) is the smallest value
    it can take: with `at_resolution` the statement is p <= p_value. p_interval and z_interval are 68.27 %
    Clopper-Pearson intervals on k of n, for the analytic null those of the simulation behind it; an unbounded end of
    z_interval is None. p_per_width come from the smooth null and may lie beyond the toys' reach: they rank the widths,
    they are not the result. nu_hat and nu_error (of the reference hypothesis), tau and
    delta (n_widths) belong to profiled nuisance parameters, whose names and pulls are in checks["nuisances"]; they are
    None without them.
    """

    p_value: float
    z: float
    z_interval: tuple[float | None, float | None]
    p_interval: tuple[float, float]
    p_resolution: float
    at_resolution: bool
    calibration: str
    statistic: str
    normalisation: str
    combination: str
    t: tuple[float, ...]
    widths: tuple[float, ...]
    p_per_width: tuple[float, ...]
    best_width: int
    converged: bool
    n_reference: int
    n_data: int
    expected: float
    n_toys: int
    checks: dict[str, Any]
    nu_hat: tuple[float, ...] | None = None
    nu_error: tuple[float, ...] | None = None
    tau: tuple[float, ...] | None = None
    delta: tuple[float, ...] | None = None

    def to_json(self, indent: int | None = 2) -> str:
        """Return strict JSON; `from_json` gives back an equal result."""
        return json.dumps(asdict(self), indent=indent, allow_nan=False, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> SearchResult:
        """Return the result that `to_json` wrote; raise CorruptFileError for anything else."""
        try:
            raw = json.loads(text)
            known = {f.name for f in fields(cls)}
            if set(raw) - known:
                raise TypeError(f"unknown fields {sorted(set(raw) - known)}")
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise CorruptFileError(f"not a search result: {error}") from error


def _plain(value: object) -> Any:
    """Return numpy scalars and arrays as plain numbers and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not go into JSON")
