"""Particles of many events as flat columns, sorted by event."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import MissingExtraError, NonFiniteError, SchemaError, did_you_mean
from unseen.simulate.detector.kinds import INVISIBLE, kinds_of

__all__ = ["Particles", "concatenate", "flatten", "import_awkward", "region_index"]

Array = NDArray[np.float64]
FIELDS = ("id", "px", "py", "pz", "e")


@dataclass(frozen=True)
class Particles:
    """Flat columns (m,) of the particles of `n_events` events, sorted by `event`; GeV and radians."""

    n_events: int
    event: NDArray[np.int64]
    kind: NDArray[np.int8]
    px: Array
    py: Array
    pz: Array
    e: Array
    pt: Array
    eta: Array
    phi: Array

    def __len__(self) -> int:
        return len(self.event)

    def take(self, rows: NDArray[Any]) -> Particles:
        """The particles of a mask or of increasing indices."""
        return Particles(self.n_events, **{name: getattr(self, name)[rows] for name in _columns()})

    def scaled(self, factor: Array) -> Particles:
        """The same directions with energies and momenta times `factor`."""
        px, py, pz, e, pt = (value * factor for value in (self.px, self.py, self.pz, self.e, self.pt))
        return Particles(self.n_events, self.event, self.kind, px, py, pz, e, pt, self.eta, self.phi)

    def overwrite(self, rows: NDArray[np.int64], others: Particles) -> None:
        """Replace the particles of these rows in place; only for columns that nobody else holds."""
        for name in _columns():
            getattr(self, name)[rows] = getattr(others, name)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of particles per event, (n_events,)."""
        return np.bincount(self.event, minlength=self.n_events)


def _columns() -> list[str]:
    return [f.name for f in fields(Particles) if f.name != "n_events"]


def concatenate(first: Particles, second: Particles) -> Particles:
    """The particles of both, one after the other: no longer sorted by event."""
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in _columns()}
    return Particles(first.n_events, **columns)


def import_awkward() -> Any:
    """The awkward module; MissingExtraError if it is not installed."""
    try:
        import awkward
    except ImportError as error:
        raise MissingExtraError("the detector response needs awkward: pip install 'unseen[hep]'") from error
    return awkward


def flatten(
    particles: Any, invisible_ids: tuple[int, ...], pt_min: float, abs_eta_max: float, origin: str = "particles"
) -> Particles:
    """Visible particles above `pt_min` within `abs_eta_max` of an awkward array (n events, var particles).

    Errors: SchemaError (a field is missing), NonFiniteError, MissingExtraError.
    """
    ak = import_awkward()
    known = ak.fields(particles)
    for name in FIELDS:
        if name not in known:
            raise SchemaError(f"{origin} have no field '{name}'{did_you_mean(name, known)}")
    counts = ak.to_numpy(ak.num(particles["id"], axis=1)).astype(np.int64)
    ids, px, py, pz, e = (ak.to_numpy(ak.flatten(particles[name])) for name in FIELDS)
    px, py, pz, e = (np.asarray(values, dtype=np.float64) for values in (px, py, pz, e))
    pt2, pz2 = px**2 + py**2, pz**2
    bad = ~np.isfinite(pt2 + pz2 + e)
    if bad.any():
        raise NonFiniteError(f"{origin}: particle {int(np.argmax(bad))} of {len(e)} has a momentum that is not finite")
    rows = np.flatnonzero((pt2 > pt_min**2) & (pz2 < np.sinh(abs_eta_max) ** 2 * pt2))
    kind = kinds_of(np.asarray(ids[rows], dtype=np.int64), invisible_ids)
    rows, kind = rows[kind != INVISIBLE], kind[kind != INVISIBLE]
    px, py, pz, e, pt = px[rows], py[rows], pz[rows], e[rows], np.sqrt(pt2[rows])
    event = np.repeat(np.arange(len(counts)), counts)[rows]
    return Particles(len(counts), event, kind, px, py, pz, e, pt, np.arcsinh(pz / pt), np.arctan2(py, px))


def region_index(abs_eta: Array, edges: list[float]) -> NDArray[np.int64]:
    """Index of the ring of every |eta|; beyond the last edge the last ring counts."""
    return np.minimum(np.searchsorted(edges, abs_eta, side="right"), len(edges) - 1)
