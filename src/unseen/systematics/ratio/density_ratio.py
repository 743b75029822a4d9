"""A learned ratio of rates r(z; nu) = n(z | nu) / n(z | 0), polynomial in nu (spec systematics section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ClosureError, NonFiniteError, NuisanceError, ShapeError
from unseen.systematics.ratio import archive, checks
from unseen.systematics.ratio.closure import Closure
from unseen.systematics.ratio.function import Delta, FunctionSource
from unseen.systematics.ratio.monomials import Coefficients, Floats
from unseen.systematics.ratio.source import RatioSource

__all__ = ["DensityRatio", "SampleCheck"]

LARGEST_LOG = 600.0  # exp of it is still a number, and sums of such weights are too


class SampleCheck(NamedTuple):
    """A reweighted sample: (sum w r)^2 / sum (w r)^2, its largest weight over the mean, and total rate over nominal."""

    effective_size: float
    largest_weight: float
    rate: float


@dataclass(frozen=True, eq=False)
class DensityRatio:
    """log r(z; nu) = sum_k delta_k(z) nu_k + sum_kl delta_kl(z) nu_k nu_l, a ratio of rates: 1 at nu = 0.

    names: the k parameters; limits (k, 2): the range of nu it was fitted on; source: where delta comes from; closure:
    what a closure test said; report: what the fit said, as JSON. It is a function of events, so it is what
    `KernelTest.fit(ratio=)` takes.
    Errors: NuisanceError (names, limits that do not hold 0), ShapeError, NonFiniteError.
    """

    names: tuple[str, ...]
    limits: Floats
    source: RatioSource
    closure: Closure | None = None
    report: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = checks.checked_names(self.names)
        limits = np.array(self.limits, dtype=np.float64)
        if limits.shape != (len(names), 2) or self.source.n_nuisances != len(names):
            raise ShapeError(
                f"a ratio with the {len(names)} names {names} has limits of shape {limits.shape} and coefficients of "
                f"{self.source.n_nuisances} parameters; expected limits ({len(names)}, 2) and {len(names)}"
            )
        if not ((limits[:, 0] <= 0) & (limits[:, 1] >= 0) & (limits[:, 0] < limits[:, 1])).all():
            raise NuisanceError(f"limits {limits.tolist()} of nu have to be (low, high) with low <= 0 <= high")
        limits.flags.writeable = False
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "limits", limits)

    @classmethod
    def of(
        cls, delta: Delta, names: Sequence[str], n_features: int = 1, limits: ArrayLike = (-5.0, 5.0)
    ) -> DensityRatio:
        """From a function z (n, d) -> linear (n, k), or (linear, quadratic (n, k, k)); `limits` (2,) or (k, 2).

        >>> ratio = DensityRatio.of(lambda z: 0.1 * z, ["shift"])
        >>> ratio.log_ratio([[2.0]], [1.0])
        array([0.2])
        """
        names = checks.checked_names(names)
        ranges = np.array(np.broadcast_to(np.asarray(limits, dtype=np.float64), (len(names), 2)))
        return cls(names, ranges, FunctionSource(delta, len(names), n_features))

    @property
    def n_features(self) -> int:
        """Number d of columns of z."""
        return self.source.n_features

    def delta(self, z: ArrayLike) -> Coefficients:
        """Linear (n, k) and symmetric quadratic (n, k, k) coefficients of z (n, d), float64.

        Errors: ShapeError, NonFiniteError.
        """
        values = checks.as_z("density ratio", z, self.n_features)
        linear, quadratic = self.source.coefficients(values)
        if not (np.isfinite(linear).all() and np.isfinite(quadratic).all()):
            raise NonFiniteError("the coefficients of a density ratio are not finite; are the events of its model?")
        return linear, quadratic

    def __call__(self, z: ArrayLike) -> Coefficients:
        """`delta`: a ratio is a function of events, for `KernelTest.fit(ratio=)`."""
        return self.delta(z)

    def log_ratio(self, z: ArrayLike, nu: ArrayLike, *, extrapolate: bool = False) -> Floats:
        """log r(z; nu) (n,) at nu (k,), or (n, k) for another one at every event.

        Errors: ShapeError, NonFiniteError, NuisanceRangeError (beyond `limits`, unless `extrapolate`).
        """
        values = checks.as_z("density ratio", z, self.n_features)
        at = checks.as_nu("density ratio", nu, self.names, len(values))
        if not extrapolate:
            checks.within(at, self.limits, self.names)
        linear, quadratic = self.delta(values)
        at = np.broadcast_to(at, linear.shape)
        log_r: Floats = (linear * at).sum(axis=1) + np.einsum("nkl,nk,nl->n", quadratic, at, at)
        return log_r

    def reweight(
        self, z: ArrayLike, nu: ArrayLike, weights: ArrayLike | None = None, *, extrapolate: bool = False
    ) -> Floats:
        """Weights w r(z; nu) (n,), with which nominal events are events at nu. Errors: `log_ratio`, WeightError."""
        log_r = self.log_ratio(z, nu, extrapolate=extrapolate)
        if len(log_r) and log_r.max() > LARGEST_LOG:
            raise NonFiniteError(f"log r is {log_r.max():g} for event {int(log_r.argmax())}: too large for a weight")
        return checks.as_weights("density ratio", weights, len(log_r)) * np.exp(log_r)

    def sample_check(
        self, z: ArrayLike, nu: ArrayLike, weights: ArrayLike | None = None, *, extrapolate: bool = False
    ) -> SampleCheck:
        """Whether nominal events can stand for events at nu: see `SampleCheck`. Errors: `reweight`."""
        new = self.reweight(z, nu, weights, extrapolate=extrapolate)
        total = new.sum()
        old = float(len(new)) if weights is None else float(np.sum(np.asarray(weights, dtype=np.float64)))
        return SampleCheck(float(total**2 / (new**2).sum()), float(new.max() * len(new) / total), float(total / old))

    def with_closure(self, closure: Closure | None) -> DensityRatio:
        """The same with what a closure test said. Errors: ShapeError (another number of parameters)."""
        if closure is not None and any(len(nu) != len(self.names) for nu in closure.nu):
            raise ShapeError(f"the closure has values of {len(closure.nu[0])} parameters, the ratio has {self.names}")
        return replace(self, closure=closure)

    def require_closure(self) -> None:
        """ClosureError if the closure test failed or was not made: no significance can be trusted then."""
        if self.closure is None:
            raise ClosureError("this density ratio has no closure test: make one on events it was not fitted on")
        if not self.closure.passed:
            raise ClosureError(
                f"{self.closure.summary()}. Fit on more events or features, or on a narrower range of nu"
            )

    def save(self, folder: str | Path) -> None:
        """Write ratio.safetensors, then ratio.json with its hash, each whole or not at all.

        Errors: NuisanceError (made of a function), DiskSpaceError.
        """
        header = {
            "names": list(self.names),
            "closure": None if self.closure is None else self.closure.to_json(),
            "report": dict(self.report),
        }
        archive.write(Path(folder), self.source, self.limits, header)

    @classmethod
    def load(cls, folder: str | Path) -> DensityRatio:
        """Open what `save` wrote; nothing in it can run code.

        Errors: MissingFileError, CorruptFileError, UnknownNameError (a kind that this version does not have).
        """
        source, limits, header = archive.read(Path(folder))
        with archive.damage(Path(folder)):
            closure = None if header["closure"] is None else Closure.from_json(header["closure"])
            return cls(tuple(header["names"]), limits, source, closure, dict(header["report"]))
