"""What a learned ratio says of itself: where it was fitted, and whether a closure test of it passed.

The search itself cannot tell a good ratio from a bad one. A ratio of `unseen.systematics` carries the range of nu that
it was fitted on and the outcome of its closure test; both are looked at here, and end up in the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ClosureError, ConfigError, NuisanceRangeError, ShapeError

__all__ = ["FAR", "UNKNOWN", "Trust"]

# Fitted values beyond the limits are extrapolated with a warning up to this many times the distance of the limit from
# the middle of the range, and void the result beyond.
FAR = 2.0
SCALED = ("shift", "error", "unweighted")  # of a closure test, in null standard deviations


@dataclass(frozen=True)
class Trust:
    """`limits` (k, 2) of nu that a ratio was fitted on, and its `closure` test in plain values, with the key `passed`.

    None where nothing is known.
    """

    limits: tuple[tuple[float, float], ...] | None = None
    closure: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, source: object) -> Trust:
        """Read the attributes `limits` and `closure` of a ratio, which need not have them."""
        return cls.checked(getattr(source, "limits", None), getattr(source, "closure", None))

    @classmethod
    def checked(cls, limits: ArrayLike | None = None, closure: object = None) -> Trust:
        """From arrays and records. Errors: ShapeError, ConfigError (limits that exclude nu = 0, another closure)."""
        return cls(None if limits is None else _limits(limits), None if closure is None else _plain(closure))

    def for_data(self, expected: float) -> Trust:
        """The same for a search of `expected` data events: the shifts of a closure test of fewer are scaled up.

        The mean of t moves with the square of the number of data events and its spread at least with the number: what
        is added is at most in proportion. A test of more events says more, and is left as it is.
        """
        if self.closure is None or not 0 < (tested := float(self.closure.get("n_data") or 0.0)) < expected:
            return self
        factor = expected / tested
        scaled = {name: [factor * value for value in self.closure[name]] for name in SCALED if self.closure.get(name)}
        if not scaled.get("shift") or not scaled.get("error"):
            return self
        limit = float(self.closure["limit"])
        resolved = max(scaled["error"]) < limit
        said = {
            "n_data": expected,
            "tested_with": tested,
            "resolved": resolved,
            "passed": resolved and max(scaled["shift"]) < limit,
            "summary": f"{self.closure.get('summary', 'closure')}, scaled here to {expected:g} data events: "
            f"{max(scaled['shift']):.2f}",
        }
        return replace(self, closure={**self.closure, **scaled, **said})

    def refuse(self, accept_failed_closure: bool) -> None:
        """ClosureError if the closure test failed and that is not accepted."""
        if self.closure is None or accept_failed_closure or not _failed(self.closure):
            return
        said = self.closure.get("summary") or "its closure test failed"
        raise ClosureError(
            f"the density ratio cannot be trusted: {said}. A search that profiles with it would find the ratio's "
            "faults. Fit it on more events, or on a narrower range of nu; accept_failed_closure=True or "
            "--accept-failed-closure goes on all the same"
        )

    def check_auxiliary(self, names: Sequence[str], auxiliary: Sequence[float]) -> None:
        """NuisanceRangeError if an auxiliary measurement is outside the limits."""
        for name, value in self._outside(names, auxiliary):
            low, high = self._range(names, name)
            raise NuisanceRangeError(
                f"the auxiliary measurement of '{name}' is {value:g}; its ratio was fitted from {low:g} to {high:g}"
            )

    def report(self, names: Sequence[str], fitted: Sequence[Sequence[float]]) -> dict[str, Any]:
        """The ratio's part of a result: closure, limits, which of the `fitted` values (each (>= k,)) lie beyond them.

        `range_passed` is False where some are so far out that nothing should be quoted. A ratio without a closure test
        has `untested` in its place.
        """
        found: dict[str, Any] = {} if self.closure is not None else {"closure": {"untested": True}}
        if self.closure is not None:
            rest = {name: value for name, value in self.closure.items() if name != "passed"}
            word = (
                {} if self.closure["passed"] else {"accepted_failure" if _failed(self.closure) else "unresolved": True}
            )
            found["closure"] = {**(word or {"passed": True}), **rest}
        if self.limits is not None:
            found["limits"] = {name: list(pair) for name, pair in zip(names, self.limits, strict=False)}
            outside = [pair for values in fitted for pair in self._outside(names, values)]
            found["extrapolated"] = list(dict.fromkeys(name for name, _ in outside))
            found["range_passed"] = not any(self._far(names, name, value) for name, value in outside)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values; `Trust.checked(**...)` reads them."""
        return {
            "limits": None if self.limits is None else [list(pair) for pair in self.limits],
            "closure": self.closure,
        }

    def _range(self, names: Sequence[str], name: str) -> tuple[float, float]:
        assert self.limits is not None
        return self.limits[list(names).index(name)]

    def _outside(self, names: Sequence[str], values: Sequence[float]) -> list[tuple[str, float]]:
        ranges = zip(names, values, self.limits or (), strict=False)
        return [(name, float(value)) for name, value, (low, high) in ranges if not low <= value <= high]

    def _far(self, names: Sequence[str], name: str, value: float) -> bool:
        low, high = self._range(names, name)
        return abs(value - 0.5 * (low + high)) > FAR * 0.5 * (high - low)


UNKNOWN = Trust()


def _failed(closure: Mapping[str, Any]) -> bool:
    """Whether a closure test did not pass, and not for want of events: a shift beyond its own error and the limit."""
    if closure["passed"] or closure.get("resolved", True):
        return not closure["passed"]
    shifts = zip(closure["shift"], closure["error"], strict=True)
    return bool(max(shift - error for shift, error in shifts) >= closure["limit"])


def _limits(values: ArrayLike) -> tuple[tuple[float, float], ...]:
    limits = np.asarray(values, dtype=np.float64)
    if limits.ndim != 2 or limits.shape[1] != 2:
        raise ShapeError(
            f"the limits of a ratio have shape {limits.shape}; expected (nuisances, 2), lowest and highest"
        )
    if not (np.isfinite(limits).all() and (limits[:, 0] <= 0).all() and (limits[:, 1] >= 0).all()):
        raise ConfigError(f"the limits of a ratio are {limits.tolist()}; each pair has to enclose nu = 0")
    return tuple((float(low), float(high)) for low, high in limits)


def _plain(closure: object) -> dict[str, Any]:
    """The record of a closure test as plain values."""
    if isinstance(closure, Mapping):
        content: Any = dict(closure)
    elif hasattr(closure, "to_json"):
        content = closure.to_json()
    elif is_dataclass(closure) and not isinstance(closure, type):
        content = asdict(closure)
    else:
        content = {}
    if not isinstance(content, dict) or not isinstance(content.get("passed"), bool | np.bool_):
        raise ConfigError("the closure of a ratio does not say whether it passed; expected a record with 'passed'")
    if hasattr(closure, "resolved"):
        content = content | {"resolved": bool(closure.resolved)}
    summary = getattr(closure, "summary", None)
    if callable(summary):
        content = content | {"summary": summary()}
    plain: dict[str, Any] = json.loads(json.dumps(content, default=_listed))
    return plain


def _listed(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise ConfigError(f"the closure of a ratio holds a {type(value).__name__}; expected plain values")
