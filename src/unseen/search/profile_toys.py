"""Toys with nuisance parameters: their true values and auxiliary measurements are thrown, and data drawn at them.

A toy throws nu from its prior, a unit Gaussian (or takes the nu that is asked for), and the auxiliary measurement a
from a unit Gaussian around nu. Its data are background events accepted with probability proportional to r(x; nu), their
number Poisson around N times the mean of r. The reference stays the nominal one. A free yield has neither prior nor
measurement: toys have its nominal value.

Single events of a very large r would leave few accepted. Their r is capped where that loses at most `LOST` expected
data events of a toy, far below what any statistic sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import torch

from unseen.errors import NonFiniteError, NotEnoughEventsError
from unseen.search.profile_nuisances import Nuisances
from unseen.search.toys import MARGIN_SIGMA, ToyPlan, positive_poisson
from unseen.search.validate import Floats

__all__ = ["ProfilePlan", "plan_profiled", "true_values"]

NUISANCE_STREAM = 2**63 + 1  # the seed stream of thrown nuisance parameters, which no toy's number reaches
RATE_STREAM = 2**63 + 2  # and of the numbers of data events
LOST = 0.1  # expected data events
LARGEST = 64  # events whose r may be capped


@dataclass(frozen=True, kw_only=True)
class ProfilePlan(ToyPlan):
    """A plan whose toy i has data at `nu` (n_toys, K) and the auxiliary measurements `auxiliary` (n_toys, K).

    `source` (n,) and `psi` (n, p) are the nominal rates and the columns of the background's events; `cap` (n_toys,) is
    the largest rate that counts.
    """

    nuisances: Nuisances
    nu: Floats
    source: Floats = field(repr=False)
    psi: Floats = field(repr=False)
    cap: Floats = field(repr=False)

    def acceptance(self, toy: int) -> Floats:
        """Return the probability (n,) with which each background event may play data in one toy."""
        rate = _rates(self.source, self.psi, self.nuisances, self.nu[toy])
        accepted: Floats = np.minimum(rate / self.cap[toy], 1.0)
        return accepted


def true_values(nuisances: Nuisances, n_toys: int, seed: int, nu: tuple[float, ...] | None) -> tuple[Floats, Floats]:
    """Return true values and auxiliary measurements (n_toys, K); `nu` (K,), or without the yield's, is not thrown."""
    thrown = np.random.default_rng([seed, NUISANCE_STREAM]).normal(size=(2, n_toys, nuisances.size))
    constrained = nuisances.precision > 0
    true = thrown[0] * constrained
    if nu is not None:
        true[:] = 0.0
        true[:, : len(nu)] = nu
    return true, (true + thrown[1]) * constrained


def plan_profiled(
    plan: ToyPlan, nuisances: Nuisances, source: Floats, psi: Floats, nu: tuple[float, ...] | None, *, fixed_n: bool
) -> ProfilePlan:
    """Return `plan` with thrown nuisance parameters; with `fixed_n` its numbers of data events stay.

    Raises NotEnoughEventsError when the data of some toy cannot be drawn.
    """
    true, auxiliary = true_values(nuisances, plan.n_toys, plan.seed, nu)
    rng = np.random.default_rng([plan.seed, RATE_STREAM])
    n_data, cap = plan.n_data.copy(), np.empty(plan.n_toys)
    nominal = float(np.mean(plan.expected))
    for toy in range(plan.n_toys):
        rate = _rates(source, psi, nuisances, true[toy])
        expected = nominal * float(rate.sum() / source.sum())
        if not np.isfinite(expected):
            raise NonFiniteError(f"the rate at nu = {true[toy].tolist()} is not finite; is delta(x) per standard unit?")
        if not fixed_n:
            n_data[toy] = positive_poisson(rng, expected, 1)[0] + plan.n_signal
        cap[toy] = _cap(rate, expected)
        hits = np.minimum(rate / cap[toy], 1.0).sum()
        hits *= 1.0 if plan.reference == "fixed" else plan.n_pool / len(rate)
        needed = int(n_data[toy]) - plan.n_signal
        if hits - MARGIN_SIGMA * np.sqrt(hits) < needed:
            raise NotEnoughEventsError(
                f"a toy at nu = {np.round(true[toy], 2).tolist()} needs {needed} data events and accepts about "
                f"{hits:.0f} of the pool's by their rates r(x; nu); enlarge the pool, at least by a factor of "
                f"{1.3 * needed / max(hits, 1.0):.1f}"
            )
    own = {f.name: getattr(plan, f.name) for f in fields(ToyPlan)} | {"n_data": n_data, "auxiliary": auxiliary}
    return ProfilePlan(**own, nuisances=nuisances, nu=true, source=source, psi=psi, cap=cap)


def _rates(source: Floats, psi: Floats, nuisances: Nuisances, nu: Floats) -> Floats:
    """Return source times r (n,) at one nu (K,)."""
    m = nuisances.monomials(torch.from_numpy(nu[None]))[0].numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        rate: Floats = np.exp(psi @ m) * source
    return rate


def _cap(rate: Floats, expected: float) -> float:
    """Return the smallest cap on the rates that loses at most LOST of `expected` events, the largest rate if none."""
    n = min(LARGEST, len(rate))
    top = np.sort(np.partition(rate, len(rate) - n)[len(rate) - n :])[::-1]  # descending
    above = np.concatenate([[0.0], np.cumsum(top)[:-1]])  # sum of those larger than each
    lost = (above - np.arange(n) * top) * (expected / rate.sum())
    return float(top[lost <= LOST].min())
