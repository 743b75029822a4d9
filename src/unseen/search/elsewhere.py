"""Toys whose data come from other events than the null's: what a test says when the detector is not the assumed one.

The reference stays nominal. Data are drawn from events that were really distorted, not from nominal ones accepted by
r(x; nu): what a test does to them does not rest on the ratio that it profiles with. And the null of a test that ignores
nuisance parameters, with toys that throw them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, NotEnoughEventsError, OverlapError, ShapeError
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
from unseen.search.toys import Codes, Index, ToyPlan, hits_for, positive_poisson, rounded_up
from unseen.search.validate import Floats, as_events, as_weights, check_disjoint, row_keys

__all__ = ["Other", "other_statistics", "randomised_statistics"]

OTHER_STREAM = 2**63 + 3  # the seed stream of numbers of data events, which no toy's number reaches


@dataclass(frozen=True)
class Other:
    """Events x (n, d) that data are drawn from, in proportion to `weights` (n,): on average `expected` of them.

    `ratio` are their coefficients where nuisance parameters are profiled, not needed if the test has a function.

    They share no event with reference and pool, unless `same_event` (n,) says which row of the two, one after the
    other, is the same generated event, -1 for those that are not selected there. Then the events that play reference in
    a toy are not its data, and the others are at nu: nothing is lost to a pool of their own.
    """

    x: ArrayLike
    expected: float
    weights: ArrayLike | None = None
    ratio: RatioSource | None = None
    same_event: ArrayLike | None = None


@dataclass(frozen=True, kw_only=True)
class OtherPlan(ToyPlan):
    """A plan whose data are `counts` (n_toys, parts) events of the parts that follow reference and pool in the union.

    `chances` (n_part,) of each part: the probability with which an event may play data. `owners` (n_part,): the row of
    reference and pool that is the same generated event, -1 without one, None for a part that shares none with them.
    """

    counts: Index
    chances: tuple[Floats, ...] = field(repr=False)
    owners: tuple[Index | None, ...] = field(repr=False)

    @property
    def left(self) -> float:
        """The share of reference and pool that does not play reference."""
        return self.n_pool / (self.n_reference + self.n_pool)

    def draw(self, toy: int) -> Codes:
        """Return what each event of the union is in one toy: +1 reference, -1 data, 0 neither."""
        rng = np.random.default_rng([self.seed, toy])
        code = np.ones(self.n_reference + self.n_pool, dtype=np.int8)
        if self.reference == "redrawn":
            code = random_subset(rng, len(code), self.n_reference)
        else:
            code[self.n_reference :] = 0
        parts = [code]
        for count, chance, owner in zip(self.counts[toy].tolist(), self.chances, self.owners, strict=True):
            free = rng.random(len(chance)) < chance
            if owner is not None:
                # Events without an owner would be data more often than the others, of which some are reference.
                free &= np.where(owner < 0, rng.random(len(chance)) < self.left, code[owner] == 0)
            hit = np.flatnonzero(free)
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
        parts = []
        for i, other in enumerate(others):
            part = _part(simulation, k, i, other, phi)
            phi = phi.join(part.phi)
            parts.append(part)
        plan = _plan(simulation, parts, [other.expected for other in others], n_toys, seed, nu)
        weights = np.concatenate([simulation.weights, np.zeros(sum(len(part.chance) for part in parts))])
        recipe = Recipe.of(fitted, k, pseudo.mode)
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


class _Part(NamedTuple):
    """A pool of the data: features, and as in `OtherPlan`."""

    phi: Features
    chance: Floats
    owner: Index | None


def _part(simulation: Simulation, k: int, i: int, other: Other, phi: Features) -> _Part:
    """Return one pool, checked."""
    fitted, name = simulation.fitted, f"pool {i} of the data"
    x = as_events(name, other.x, fitted.z.shape[1])
    w = as_weights(f"the weights of {name}", other.weights, len(x))
    owner = None
    if other.same_event is None:
        check_disjoint(name, row_keys(x), "the reference", fitted.keys)
        check_disjoint(name, row_keys(x), "the settings", fitted.settings_keys)
    else:
        owner = _owners(name, other.same_event, len(x), len(simulation.weights))
    z = fitted.settings.scale(x)
    beside = columns_for(fitted.nuisances, name, other.ratio, x)
    return _Part(fitted.features(k, z, phi.held_bytes, beside), w / w.max(), owner)


def _owners(name: str, rows: ArrayLike, n: int, n_union: int) -> Index:
    owner = np.asarray(rows)
    if owner.shape != (n,) or not np.issubdtype(owner.dtype, np.integer) or not np.all(owner < n_union):
        raise ShapeError(
            f"same_event of {name} has shape {owner.shape} and type {owner.dtype}; expected {n} rows of the {n_union} "
            "events of reference and pool, -1 for none"
        )
    own = owner[owner >= 0]
    if len(np.unique(own)) < len(own):
        raise OverlapError(f"{name}: two events have the same row of reference and pool as their own in same_event")
    return owner.astype(np.int64)


def _plan(
    simulation: Simulation,
    parts: list[_Part],
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
    left = len(simulation.pool) / len(simulation.weights)
    for count, part in zip(counts.max(axis=0).tolist(), parts, strict=True):
        accepted = float(part.chance.sum()) * (1.0 if part.owner is None else left)
        if accepted < hits_for(count):
            enough = rounded_up(len(part.chance) * hits_for(count) / accepted)
            raise NotEnoughEventsError(
                f"a toy needs {count} data events and about {accepted:.0f} of the pool's {len(part.chance)} can "
                f"be data: enlarge it to about {enough} events"
            )
    auxiliary = None
    if fitted.nuisances is not None:
        if nu is None:
            raise ConfigError("the test profiles nuisance parameters: say at which nu the data are")
        auxiliary = true_values(fitted.nuisances, n_toys, seed, as_true_values(fitted.nuisances, nu))[1]
    own = {f.name: getattr(base, f.name) for f in fields(ToyPlan)}
    own |= {"n_data": counts.sum(axis=1), "auxiliary": auxiliary}
    chances, owners = tuple(part.chance for part in parts), tuple(part.owner for part in parts)
    return OtherPlan(**own, counts=counts, chances=chances, owners=owners)
