"""Toys whose data come from other events than the null's: what a test says when the detector is not the assumed one.

The reference stays nominal. Data are drawn from events that were really distorted, not from nominal ones accepted by
r(x; nu): what a test does to them does not rest on the ratio that it profiles with. And the null of a test that ignores
nuisance parameters, with toys that throw them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, NotEnoughEventsError
from unseen.search.features import Features
from unseen.search.normalisation import Normalisation
from unseen.search.parallel import blockwise
from unseen.search.profile_nuisances import Nuisances, as_true_values, columns_for
from unseen.search.profile_ratio import RatioSource, coefficients_for
from unseen.search.profile_toys import plan_profiled, true_values
from unseen.search.pseudo import PseudoData
from unseen.search.refit import Recipe, toy_statistics
from unseen.search.simulation import Simulation
from unseen.search.subsets import random_subset
from unseen.search.toys import MARGIN_SIGMA, Codes, Index, ToyPlan, positive_poisson
from unseen.search.validate import Floats, as_events, as_weights, check_disjoint, row_keys

__all__ = ["Other", "other_statistics", "randomised_statistics"]

OTHER_STREAM = 2**63 + 3  # the seed stream of numbers of data events, which no toy's number reaches


@dataclass(frozen=True)
class Other:
    """Events x (n, d) that data are drawn from, in proportion to `weights` (n,): on average `expected` of them.

    `ratio` are their coefficients where nuisance parameters are profiled, not needed if the test has a function.
    """

    x: ArrayLike
    expected: float
    weights: ArrayLike | None = None
    ratio: RatioSource | None = None


@dataclass(frozen=True, kw_only=True)
class OtherPlan(ToyPlan):
    """A plan whose data are `counts` (n_toys, parts) events of the parts that follow reference and pool in the union.

    `chances` (n_part,) of each part: the probability with which an event may play data.
    """

    counts: Index
    chances: tuple[Floats, ...] = field(repr=False)

    def draw(self, toy: int) -> Codes:
        """Return what each event of the union is in one toy: +1 reference, -1 data, 0 neither."""
        rng = np.random.default_rng([self.seed, toy])
        code = np.ones(self.n_reference + self.n_pool, dtype=np.int8)
        if self.reference == "redrawn":
            code = random_subset(rng, len(code), self.n_reference)
        else:
            code[self.n_reference :] = 0
        parts = [code]
        for count, chance in zip(self.counts[toy].tolist(), self.chances, strict=True):
            hit = np.flatnonzero(rng.random(len(chance)) < chance)
            if len(hit) < count:
                raise NotEnoughEventsError(
                    f"a toy needs {count} events, {len(hit)} of a pool were accepted: enlarge it"
                )
            part = np.zeros(len(chance), dtype=np.int8)
            part[hit[random_subset(rng, len(hit), count) > 0]] = -1
            parts.append(part)
        return np.concatenate(parts)


def other_statistics(
    pseudo: PseudoData, k: int, others: tuple[Other, ...], n_toys: int, seed: int, nu: ArrayLike | None = None
) -> Floats:
    """Return t (n_toys,) at map k of data drawn from `others`, such as background and signal at nu, each Poisson.

    With profiled nuisance parameters the auxiliary measurements are thrown around `nu` (k,), which must then be given.
    The toys of a seed are the same at all maps and in all tests of as many events. Errors: NotEnoughEventsError,
    OverlapError, ConfigError.
    """
    simulation, fitted = pseudo.simulation, pseudo.simulation.fitted
    with blockwise():
        phi, chord = simulation.union(k), fitted.reference_features(k)[1]
        chances, expected = [], []
        for i, other in enumerate(others):
            chance, part = _part(simulation, k, i, other, phi)
            phi = phi.join(part)
            chances.append(chance)
            expected.append(other.expected)
        plan = _plan(simulation, tuple(chances), expected, n_toys, seed, nu)
        weights = np.concatenate([simulation.weights, np.zeros(sum(len(chance) for chance in chances))])
        recipe = Recipe(pseudo.mode, fitted.normalisation, fitted.penalty, fitted.nuisances)
        on_device = torch.from_numpy(weights).to(fitted.compute.device)
        return toy_statistics(plan, phi, on_device, chord, fitted.form(k), recipe, lambda _: None)[0]


def randomised_statistics(pseudo: PseudoData, k: int, ratio: RatioSource, n_toys: int, seed: int) -> Floats:
    """Return t (n_toys,) at map k of null toys of a test that profiles nothing, with nu thrown from its prior.

    `ratio` are the coefficients of reference and pool, one after the other, or a function of events in raw units: data
    are nominal events accepted by r(x; nu). Their quantiles are those of the prior predictive distribution. Raises
    ConfigError for a test that profiles, NotEnoughEventsError.
    """
    simulation, fitted = pseudo.simulation, pseudo.simulation.fitted
    if fitted.nuisances is not None:
        raise ConfigError("toys of a test that profiles nuisance parameters throw them already: use statistics()")
    with blockwise():
        z = np.concatenate([fitted.z, simulation.pool])
        found = coefficients_for("reference and pool", ratio, fitted.settings.scale.undo(z))
        nuisances = Nuisances.of(found, Normalisation(0.0))
        columns = nuisances.columns("reference and pool", found)
        base = simulation.nominal_plan(n_toys, seed, None)
        plan = plan_profiled(base, nuisances, simulation.source, columns, None, fixed_n=False)
        weights = torch.from_numpy(simulation.weights).to(fitted.compute.device)
        recipe = Recipe(pseudo.mode, fitted.normalisation, fitted.penalty)
        chord = fitted.reference_features(k)[1]
        return toy_statistics(plan, simulation.union(k), weights, chord, fitted.form(k), recipe, lambda _: None)[0]


def _part(simulation: Simulation, k: int, i: int, other: Other, phi: Features) -> tuple[Floats, Features]:
    """Return chances and features of one pool, checked."""
    fitted, name = simulation.fitted, f"pool {i} of the data"
    x = as_events(name, other.x, fitted.z.shape[1])
    w = as_weights(f"the weights of {name}", other.weights, len(x))
    check_disjoint(name, row_keys(x), "the reference", fitted.keys)
    check_disjoint(name, row_keys(x), "the settings", fitted.settings_keys)
    z = fitted.settings.scale(x)
    beside = columns_for(fitted.nuisances, name, other.ratio, x)
    return w / w.max(), fitted.features(k, z, phi.held_bytes, beside)


def _plan(
    simulation: Simulation,
    chances: tuple[Floats, ...],
    expected: list[float],
    n_toys: int,
    seed: int,
    nu: ArrayLike | None,
) -> OtherPlan:
    """Return the plan of toys with data from these pools."""
    fitted = simulation.fitted
    if fitted.normalisation.free:
        raise ConfigError("with free normalisation each number of data events has a null of its own: give known")
    base = simulation.nominal_plan(n_toys, seed, None)
    rng = np.random.default_rng([seed, OTHER_STREAM])
    counts = np.stack([rng.poisson(mean, n_toys) for mean in expected], axis=1)
    empty = counts.sum(axis=1) == 0
    if empty.any():
        counts[empty, 0] = positive_poisson(rng, expected[0], int(empty.sum()))
    for count, chance in zip(counts.max(axis=0).tolist(), chances, strict=True):
        accepted = float(chance.sum())
        if accepted - MARGIN_SIGMA * np.sqrt(accepted) < count:
            raise NotEnoughEventsError(
                f"a toy needs {count} data events and about {accepted:.0f} of the pool's {len(chance)} are accepted by "
                "their weights: enlarge it"
            )
    auxiliary = None
    if fitted.nuisances is not None:
        if nu is None:
            raise ConfigError("the test profiles nuisance parameters: say at which nu the data are")
        auxiliary = true_values(fitted.nuisances, n_toys, seed, as_true_values(fitted.nuisances, nu))[1]
    own = {f.name: getattr(base, f.name) for f in fields(ToyPlan)}
    own |= {"n_data": counts.sum(axis=1), "auxiliary": auxiliary}
    return OtherPlan(**own, counts=counts, chances=chances)
