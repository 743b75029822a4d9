"""The nuisance parameters of a test: log r(x; nu) = psi(x) . m(nu) with monomials m, and their constraints.

The columns psi(x) are delta_k(x), the column of an uncertain yield, and delta_kl(x) for pairs k <= l; the monomials are
nu_k and nu_k nu_l. So log r is linear in m(nu), and the sums over events that a fit needs are those of a linear model,
with psi beside the kernel features. Constraints are unit Gaussians around the auxiliary measurements; a free yield has
none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unseen.errors import ConfigError, NonFiniteError, ShapeError
from unseen.search.normalisation import Normalisation
from unseen.search.profile_ratio import RatioCoefficients, RatioSource, coefficients_for, default_names
from unseen.search.profile_trust import UNKNOWN, Trust
from unseen.search.validate import Floats, as_events

__all__ = ["YIELD", "Nuisances", "as_true_values", "columns_for", "reference_columns"]

YIELD = "yield"  # the name of the normalisation's own nuisance parameter


@dataclass(frozen=True)
class Nuisances:
    """`given` names of nuisance parameters of the ratio, `quadratic` or not, and the yield's uncertainty.

    `trust` is what the ratio says of itself.
    """

    given: tuple[str, ...]
    quadratic: bool
    normalisation: Normalisation
    trust: Trust = UNKNOWN

    @classmethod
    def of(cls, ratio: RatioCoefficients, normalisation: Normalisation) -> Nuisances:
        """Return those of the reference's `ratio`; ConfigError if one has the name that the yield's own has."""
        if normalisation.intercept and YIELD in ratio.names:
            raise ConfigError(f"a nuisance parameter is called '{YIELD}', as the one of the normalisation; rename it")
        return cls(ratio.names, ratio.quadratic is not None, normalisation, ratio.trust)

    def trusted(self, expected: float, accept_failed_closure: bool) -> Nuisances:
        """The same for a search of `expected` data events; ClosureError unless the ratio's closure test says so."""
        trust = self.trust.for_data(expected)
        trust.refuse(accept_failed_closure)
        return replace(self, trust=trust)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all K parameters: those of the ratio, and the yield's unless it is known."""
        return self.given + ((YIELD,) if self.normalisation.intercept else ())

    @property
    def size(self) -> int:
        """Number K of parameters."""
        return len(self.names)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs k <= l of parameters with a quadratic term."""
        k = len(self.given)
        return tuple((i, j) for i in range(k) for j in range(i, k)) if self.quadratic else ()

    @property
    def n_columns(self) -> int:
        """Number p of columns of psi."""
        return self.size + len(self.pairs)

    @property
    def precision(self) -> Floats:
        """Inverse variances of the constraints (K,): one, or zero for a free yield."""
        return np.array([0.0 if name == YIELD and self.normalisation.free else 1.0 for name in self.names])

    def columns(self, what: str, ratio: RatioCoefficients) -> Floats:
        """Return psi (n, p) of events with these coefficients, ConfigError if they are of other parameters."""
        if ratio.size != len(self.given) or (ratio.names != self.given and ratio.names != default_names(ratio.size)):
            raise ConfigError(
                f"the ratio of {what} has the nuisance parameters {ratio.names}, the reference has {self.given}"
            )
        if ratio.quadratic is not None and not self.quadratic:
            raise ConfigError(f"the ratio of {what} has quadratic coefficients, that of the reference has none")
        if ratio.quadratic is None and self.quadratic:
            raise ConfigError(f"the ratio of {what} has no quadratic coefficients, that of the reference has some")
        parts = [ratio.linear]
        if self.normalisation.intercept:
            scale = 1.0 if self.normalisation.free else self.normalisation.sigma
            parts.append(np.full((len(ratio), 1), scale))
        if ratio.quadratic is not None:
            q = ratio.quadratic
            parts += [(q[:, i, j] if i == j else q[:, i, j] + q[:, j, i])[:, None] for i, j in self.pairs]
        return np.ascontiguousarray(np.hstack(parts))

    def monomials(self, nu: Tensor) -> Tensor:
        """Return m (T, p) at nu (T, K)."""
        if not self.quadratic:
            return nu
        i, j = self._index(nu.device)
        return torch.cat([nu, nu[:, i] * nu[:, j]], dim=1)

    def jacobian(self, nu: Tensor) -> Tensor:
        """Return dm/dnu (T, p, K) at nu (T, K)."""
        unit = torch.eye(self.size, dtype=nu.dtype, device=nu.device)
        if not self.quadratic:
            return unit.expand(len(nu), -1, -1)
        i, j = self._index(nu.device)
        products = nu[:, i, None] * unit[j] + nu[:, j, None] * unit[i]
        return torch.cat([unit.expand(len(nu), -1, -1), products], dim=1)

    def curvature(self, g: Tensor) -> Tensor:
        """Return sum_p g_p d2 m_p / dnu dnu' (T, K, K) for g (T, p)."""
        result = torch.zeros(len(g), self.size, self.size, dtype=g.dtype, device=g.device)
        for column, (i, j) in enumerate(self.pairs, start=self.size):
            result[:, i, j] += g[:, column]
            result[:, j, i] += g[:, column]
        return result

    def auxiliary(self, values: ArrayLike | None) -> Floats:
        """Return auxiliary measurements (K,), zero unless given; the yield's may be left out.

        They may lie where the ratio was not fitted, as toys' do: what counts is where nu is fitted, which is reported.
        """
        if values is None:
            return np.zeros(self.size)
        a = np.array(values, dtype=np.float64).reshape(-1)
        if len(a) not in (len(self.given), self.size):
            raise ShapeError(f"auxiliary has {len(a)} values; expected {len(self.given)}, one for each of {self.given}")
        if not np.isfinite(a).all():
            raise NonFiniteError(f"auxiliary is {a.tolist()}; expected finite numbers")
        return np.concatenate([a, np.zeros(self.size - len(a))])

    def _index(self, device: torch.device) -> tuple[Tensor, Tensor]:
        first, second = zip(*self.pairs, strict=True)
        return torch.tensor(first, device=device), torch.tensor(second, device=device)


def reference_columns(
    ratio: RatioSource | None, reference: ArrayLike, rows: NDArray[np.int64], normalisation: Normalisation
) -> tuple[Nuisances | None, Floats | None]:
    """Return the nuisance parameters of a reference's `ratio` and psi of its `rows`; nothing without a ratio."""
    if ratio is None:
        return None, None
    delta = coefficients_for("the reference", ratio, as_events("reference", reference)).take(rows)
    nuisances = Nuisances.of(delta, normalisation)
    return nuisances, nuisances.columns("the reference", delta)


def columns_for(nuisances: Nuisances | None, name: str, source: RatioSource | None, x: Floats) -> Floats | None:
    """Return psi (n, p) of the events x (n, d) called `name`, None where nothing is profiled; ConfigError if amiss."""
    if nuisances is not None:
        return nuisances.columns(name, coefficients_for(name, source, x))
    if source is not None:
        raise ConfigError(f"{name} came with a ratio, but the test was fitted without one: pass ratio= to fit as well")
    return None


def as_true_values(nuisances: Nuisances | None, nu: ArrayLike | None) -> tuple[float, ...] | None:
    """Return true values of nuisance parameters as plain numbers, None for thrown ones.

    Raises ConfigError without nuisance parameters, ShapeError, NonFiniteError.
    """
    if nu is None:
        return None
    if nuisances is None:
        raise ConfigError("nu was given to a test that profiles no nuisance parameters: pass ratio= to fit first")
    values = np.asarray(nu, dtype=np.float64).reshape(-1)
    if len(values) not in (len(nuisances.given), nuisances.size):
        raise ShapeError(f"nu has {len(values)} values; expected one for each of {nuisances.given}")
    if not np.isfinite(values).all():
        raise NonFiniteError(f"nu is {values.tolist()}; expected finite numbers")
    return tuple(values.tolist())
