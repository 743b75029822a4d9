"""What deforms the reference: coefficients of log r(x; nu), polynomial in nu, for every event (spec section 5).

    log r(x; nu) = sum_k delta_k(x) nu_k + sum_kl delta_kl(x) nu_k nu_l

is the log ratio of rates n(x | nu) / n(x | 0), not of normalised shapes (arXiv:2111.13633). A yield known to a fraction
sigma is the nuisance parameter with log r = sigma nu for every event: the yield is N exp(sigma nu), never negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import ConfigError, NonFiniteError, ShapeError
from unseen.search.profile_trust import UNKNOWN, Trust
from unseen.search.validate import Floats

__all__ = ["RatioCoefficients", "RatioLike", "RatioSource", "as_coefficients", "coefficients_for", "default_names"]


@dataclass(frozen=True, eq=False)
class RatioCoefficients:
    """delta(x) of n events and k nuisance parameters: `linear` (n, k), `quadratic` (n, k, k) or None, k `names`.

    An array (n,) counts as (n, 1); names are nu_1, nu_2, ... unless given. `trust` says where the ratio was fitted, if
    that is known. Raises ShapeError, NonFiniteError (values
    beyond single precision included), ConfigError (names that are not k different ones).
    """

    linear: Floats
    quadratic: Floats | None = None
    names: tuple[str, ...] = ()
    what: str = field(default="ratio", repr=False)
    trust: Trust = UNKNOWN

    def __post_init__(self) -> None:
        linear = _numbers(f"the linear coefficients of {self.what}", self.linear)
        linear = linear[:, None] if linear.ndim == 1 else linear
        if linear.ndim != 2 or linear.shape[1] == 0:
            raise ShapeError(
                f"the linear coefficients of {self.what} have shape {linear.shape}; expected (events, nuisances)"
            )
        n, k = linear.shape
        quadratic = self.quadratic
        if quadratic is not None:
            quadratic = _numbers(f"the quadratic coefficients of {self.what}", quadratic)
            quadratic = quadratic.reshape(n, 1, 1) if k == 1 and quadratic.size == n else quadratic
            if quadratic.shape != (n, k, k):
                raise ShapeError(
                    f"the quadratic coefficients of {self.what} have shape {quadratic.shape}; expected ({n}, {k}, {k}) "
                    f"beside linear ones of shape ({n}, {k})"
                )
        names = tuple(self.names) or default_names(k)
        if len(names) != k or len(set(names)) != k:
            raise ConfigError(f"{self.what} has {k} nuisance parameters and the names {names}; expected {k} different")
        if self.trust.limits is not None and len(self.trust.limits) != k:
            raise ShapeError(f"{self.what} has {k} nuisance parameters and limits for {len(self.trust.limits)}")
        for name, value in {"linear": linear, "quadratic": quadratic, "names": names}.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.linear)

    @property
    def size(self) -> int:
        """Number k of nuisance parameters."""
        return int(self.linear.shape[1])

    def take(self, rows: NDArray[np.int64]) -> RatioCoefficients:
        """Return the coefficients of the events `rows`."""
        quadratic = None if self.quadratic is None else self.quadratic[rows]
        return replace(self, linear=self.linear[rows], quadratic=quadratic)

    def log_ratio(self, nu: ArrayLike) -> Floats:
        """Return log r(x; nu) (n,) at one nu (k,)."""
        at = np.asarray(nu, dtype=np.float64).reshape(-1)
        if len(at) != self.size:
            raise ShapeError(f"nu has {len(at)} values; expected {self.size}, one for each of {self.names}")
        log_r: Floats = self.linear @ at
        return log_r if self.quadratic is None else log_r + np.einsum("nkl,k,l->n", self.quadratic, at, at)


RatioLike = RatioCoefficients | tuple[ArrayLike, ArrayLike | None] | ArrayLike
RatioSource = RatioLike | Callable[[Floats], RatioLike]


def as_coefficients(name: str, value: RatioLike, n: int) -> RatioCoefficients:
    """Return `value` as coefficients of the n events of `name`; a tuple is (linear, quadratic), an array linear."""
    what = f"the ratio of {name}"
    if isinstance(value, RatioCoefficients):
        found = replace(value, what=what)
    elif isinstance(value, tuple):
        if len(value) != 2:
            raise ShapeError(f"{what} is a tuple of {len(value)}; expected (linear, quadratic)")
        found = RatioCoefficients(np.asarray(value[0]), None if value[1] is None else np.asarray(value[1]), (), what)
    else:
        found = RatioCoefficients(np.asarray(value), None, (), what)
    if len(found) != n:
        raise ShapeError(f"{what} has {len(found)} rows, {name} has {n} events; expected one row for each event")
    return found


def coefficients_for(name: str, source: RatioSource | None, x: Floats) -> RatioCoefficients:
    """Return the coefficients of events x (n, d): rows as they are, or a function delta(x) asked for them."""
    if source is None:
        raise ConfigError(
            f"the test profiles nuisance parameters and {name} came without coefficients: pass ratio= with delta(x) of "
            f"these events, or a function delta(x) as ratio to fit"
        )
    if not callable(source):
        return as_coefficients(name, source, len(x))
    found = as_coefficients(name, source(x), len(x))
    names = tuple(getattr(source, "names", ()))  # a function may say what its parameters are called
    trust = found.trust if found.trust != UNKNOWN else Trust.of(source)
    return replace(found, names=names or found.names, trust=trust)


def default_names(k: int) -> tuple[str, ...]:
    """What k nuisance parameters are called that came without names."""
    return tuple(f"nu_{i + 1}" for i in range(k))


def _numbers(what: str, values: ArrayLike) -> Floats:
    """Return finite float64 numbers that single precision can hold."""
    try:
        numbers: Floats = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{what} are not a rectangular array of numbers: {error}") from error
    bad = ~(np.abs(numbers) <= np.finfo(np.float32).max)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NonFiniteError(f"{what} have {int(bad.sum())} values that are not finite (first: {at} is {numbers[at]})")
    return numbers
