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
from typing import NamedTuple

import numpy as np
import torch

from unseen.errors import NonFiniteError, NotEnoughEventsError
from unseen.search.profile_nuisances import Nuisances
from unseen.search.toys import ToyPlan, hits_for, not_given, positive_poisson, rounded_up
from unseen.search.validate import Floats

__all__ = ["ProfilePlan", "plan_profiled", "true_values"]

NUISANCE_STREAM = 2**63 + 1  # the seed stream of thrown nuisance parameters, which no toy's number reaches
RATE_STREAM = 2**63 + 2  # and of the numbers of data events
LOST = 0.1  # expected data events
RESOLVED = 10  # events that the largest rate that counts should rest on
MARGIN = 1.1  # of an advised pool: another one has other events
MOST_EXPECTED = 1e12  # of one toy
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
    plan: ToyPlan,
    nuisances: Nuisances,
    source: Floats,
    psi: Floats,
    nu: tuple[float, ...] | None,
    *,
    fixed_n: bool,
    assumed: bool = False,
) -> ProfilePlan:
    """Return `plan` with thrown nuisance parameters; with `fixed_n` its numbers of data events stay.

    Raises NotEnoughEventsError when the data of some toy cannot be drawn, with the size of a pool that would do for all
    toys; `assumed` as for `plan_toys`.
    """
    true, auxiliary = true_values(nuisances, plan.n_toys, plan.seed, nu)
    rng = np.random.default_rng([plan.seed, RATE_STREAM])
    n_data, cap = plan.n_data.copy(), np.empty(plan.n_toys)
    nominal = float(np.mean(plan.expected))
    short: list[_Short] = []
    for toy in range(plan.n_toys):
        rate = _rates(source, psi, nuisances, true[toy])
        expected = nominal * float(rate.sum() / source.sum())
        if not expected < MOST_EXPECTED:
            raise NonFiniteError(
                f"{expected:g} events are expected at nu = {true[toy].tolist()}: no sample holds them; is delta(x) per "
                "standard unit?"
            )
        if not fixed_n:
            n_data[toy] = positive_poisson(rng, expected, 1)[0] + plan.n_signal
        cap[toy] = _cap(rate, expected)
        hits, needed = _accepted(plan, rate, cap[toy]) * plan.n_pool, int(n_data[toy]) - plan.n_signal
        if hits < hits_for(needed):
            known = int(np.count_nonzero(rate >= cap[toy])) >= RESOLVED
            short.append(_Short(_enough(plan, rate, expected, needed), toy, needed, hits, known))
    if short:
        raise _refusal(plan, short, true, not_given(nominal, assumed and not fixed_n))
    own = {f.name: getattr(plan, f.name) for f in fields(ToyPlan)} | {"n_data": n_data, "auxiliary": auxiliary}
    return ProfilePlan(**own, nuisances=nuisances, nu=true, source=source, psi=psi, cap=cap)


class _Short(NamedTuple):
    """A toy that cannot be drawn: how many pool events would be `enough`, its number, the events that it needs and has.

    `known`: whether the cap on its rates is known; where single events set it, a larger pool will have a larger one.
    """

    enough: int
    toy: int
    needed: int
    hits: float
    known: bool


def _refusal(plan: ToyPlan, short: list[_Short], true: Floats, note: str) -> NotEnoughEventsError:
    """Return the error of toys that cannot be drawn, with what would be enough for the most demanding of them."""
    enough, toy, needed, hits, known = max(short)
    more = "" if known else " at least, since single events have the largest rates"
    return NotEnoughEventsError(
        f"{len(short)} of {plan.n_toys} toys cannot be drawn: the one at nu = {np.round(true[toy], 2).tolist()} needs "
        f"{needed} data events and accepts about {hits:.0f} of the pool's {plan.n_pool} by their rates r(x; nu); "
        f"enlarge the pool to about {rounded_up(MARGIN * enough)} events{more}{note}"
    )


def _accepted(plan: ToyPlan, rate: Floats, cap: float) -> float:
    """Return the events that can be data on average, for each event of the pool."""
    played = plan.n_pool if plan.reference == "fixed" else len(rate)  # events that data come from
    return float(np.minimum(rate / cap, 1.0).sum()) / played


def _enough(plan: ToyPlan, rate: Floats, expected: float, needed: int) -> int:
    """Return how many pool events would be enough for a toy if they are like those that are there.

    Of a larger pool a smaller share is accepted: more than LARGEST of its events are too likely then.
    """
    hits, enough, fixed = hits_for(needed), plan.n_pool, plan.reference == "fixed"
    while True:
        copies = enough / plan.n_pool if fixed else (plan.n_reference + enough) / len(rate)
        wanted = int(np.ceil(hits / _accepted(plan, rate, _cap(rate, expected, copies))))
        if wanted <= enough:
            return enough
        enough = wanted  # the cap has as many values as events may be capped, and ends at the largest rate


def _rates(source: Floats, psi: Floats, nuisances: Nuisances, nu: Floats) -> Floats:
    """Return source times r (n,) at one nu (K,)."""
    m = nuisances.monomials(torch.from_numpy(nu[None]))[0].numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        rate: Floats = np.exp(psi @ m) * source
    return rate


def _cap(rate: Floats, expected: float, copies: float = 1.0) -> float:
    """Return the smallest cap on the rates that loses at most LOST of `expected` events, the largest rate if none.

    Of a sample that is `copies` times as large as that of `rate`.
    """
    n = min(max(int(LARGEST / copies), 1), len(rate))
    top = np.sort(np.partition(rate, len(rate) - n)[len(rate) - n :])[::-1]  # descending
    above = np.concatenate([[0.0], np.cumsum(top)[:-1]])  # sum of those larger than each
    lost = (above - np.arange(n) * top) * (expected / rate.sum())
    return float(top[lost <= LOST].min())
