"""What a closure test said about a ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unseen.errors import ConfigError, NonFiniteError, ShapeError

__all__ = ["CLOSURE_LIMIT", "FEWEST_SELECTED", "Closure"]

FEWEST_SELECTED = 100  # events at nu that a closure test is made with
CLOSURE_LIMIT = 0.3  # null standard deviations: the target of the specification, section 3


@dataclass(frozen=True)
class Closure:
    """How far events at nu are from nominal ones weighted by r(z; nu), one entry for each tested nu.

    * method: what compared them, e.g. "moments" or "kernel-test"
    * nu: the tested values, k numbers each; n_data: for how many data events
    * shift: mean of the statistic above its null mean, in null standard deviations; error: its standard error
    * unweighted: the same without r; limit: what every shift has to stay below
    * p_value: of an exact ratio differing as much on the events of the test

    Errors: ShapeError (lengths differ, nothing tested), NonFiniteError, ConfigError (negative errors, no data).
    """

    method: str
    nu: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]
    error: tuple[float, ...]
    n_data: float
    unweighted: tuple[float, ...] = ()
    p_value: tuple[float, ...] = ()
    limit: float = CLOSURE_LIMIT

    def __post_init__(self) -> None:
        for name in ("shift", "error", "unweighted", "p_value"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        object.__setattr__(self, "nu", tuple(tuple(float(value) for value in nu) for nu in self.nu))
        n = len(self.nu)
        if n == 0 or len(self.shift) != n or len(self.error) != n or {len(self.unweighted), len(self.p_value)} - {0, n}:
            raise ShapeError(
                f"a closure at {n} values of nu has {len(self.shift)} shifts, {len(self.error)} errors and "
                f"{len(self.unweighted)} unweighted ones; expected one of each for every nu, and at least one"
            )
        numbers = (
            self.n_data,
            *self.shift,
            *self.error,
            *self.unweighted,
            *self.p_value,
            *(v for nu in self.nu for v in nu),
        )
        if not all(abs(value) < float("inf") for value in numbers):
            raise NonFiniteError("a closure has values that are not finite")
        if min(self.error) < 0 or self.n_data <= 0:
            raise ConfigError(
                f"a closure for {self.n_data:g} data events has errors from {min(self.error):g}; expected data events, "
                "and errors of zero or more"
            )

    @property
    def resolved(self) -> bool:
        """Whether the errors are below the limit: more test events if not."""
        return max(self.error) < self.limit

    @property
    def passed(self) -> bool:
        """Whether the test could see a shift of the limit, and every one is below it."""
        return self.resolved and max(self.shift) < self.limit

    @property
    def worst(self) -> int:
        """Index of the nu with the largest shift."""
        return max(range(len(self.shift)), key=lambda i: self.shift[i])

    def summary(self) -> str:
        """One line in words."""
        at = self.worst
        nu = ", ".join(f"{value:g}" for value in self.nu[at])
        verdict = "passed" if self.passed else "failed" if self.resolved else "not resolved"
        return (
            f"closure ({self.method}) {verdict}: largest shift {self.shift[at]:.2f} +- {self.error[at]:.2f} null "
            f"standard deviations at nu = ({nu}), {self.n_data:g} data events; limit {self.limit:g}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"passed": self.passed}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Closure:
        """The closure of which these are the values."""
        return cls(**{name: value for name, value in content.items() if name != "passed"})
