"""Refitting toys: the statistics of all toys of a plan at one width, in batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.fitted import Fitted
from unseen.search.loss import Batch, Sums, make_batch
from unseen.search.normalisation import Normalisation
from unseen.search.parallel import run_parts
from unseen.search.precondition import DataWhitener, Preconditioner, Shared
from unseen.search.profile_fit import profile
from unseen.search.profile_growth import growth_factor
from unseen.search.profile_nuisances import Nuisances
from unseen.search.statistic import Fit, LinearForm, fit_batch, require_convergence, shared_factor
from unseen.search.toys import Codes, Index, ToyPlan
from unseen.search.validate import Floats

__all__ = ["Recipe", "ToyFits", "batches", "fit_toys", "make_fits", "toy_statistics"]

TOYS_PER_BATCH = 128
LARGEST_BATCH = 2**28  # events times toys: one byte each
WORTH_THREADS = 1_000_000  # events: below, numpy's many small calls only wait for each other
WORTH_COPYING = 0.7  # of the union: copying the used rows pays below this
DENSE = 0.05  # toys that use less of the union than this are fitted one by one on their own events


@dataclass(frozen=True)
class Recipe:
    """How a toy is fitted: statistic, normalisation, penalty, and the nuisance parameters that are profiled.

    `growth` (K,) is how log E[t] grows with them.
    """

    mode: str
    normalisation: Normalisation
    penalty: float
    nuisances: Nuisances | None = None
    growth: Tensor | None = None

    @classmethod
    def of(cls, fitted: Fitted, k: int, mode: str) -> Recipe:
        """That of the toys of map k of a test."""
        return cls(mode, fitted.normalisation, fitted.penalty, fitted.nuisances, fitted.growth(k))


@dataclass(frozen=True)
class ToyFits:
    """All that the toys of a plan are fitted with at one width.

    `weights` (m,) are the weights of the union's events as reference; `chord` guides the fits where no `whitener` knows
    their data; `form` belongs to the reference at hand.
    """

    plan: ToyPlan
    union: Features
    weights: Tensor
    chord: Tensor
    form: LinearForm
    recipe: Recipe
    whitener: DataWhitener | None


def make_fits(
    plan: ToyPlan, union: Features, weights: Tensor, chord: Tensor, form: LinearForm, recipe: Recipe
) -> ToyFits:
    """Return what toys are fitted with, the whitener included where it pays: it takes some work."""
    alike = recipe.mode == "linear" or recipe.nuisances is not None  # one Hessian serves all toys
    whitener = None if alike else _whitener(plan, union, recipe)
    return ToyFits(plan, union, weights, chord, form, recipe, whitener)


def toy_statistics(
    plan: ToyPlan,
    union: Features,
    weights: Tensor,
    chord: Tensor,
    form: LinearForm,
    recipe: Recipe,
    tick: Callable[[int], None],
) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of every toy, (n_toys,) each; `tick` is told how many are done."""
    fits = make_fits(plan, union, weights, chord, form, recipe)
    return fit_toys(fits, batches(plan, len(union)), tick)


def fit_toys(fits: ToyFits, which: list[range], tick: Callable[[int], None]) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of the toys of some consecutive `batches`, in their order.

    A batch has the same numbers whichever others are asked for.
    """
    plan, union, weights, recipe, first = fits.plan, fits.union, fits.weights, fits.recipe, which[0].start
    t, linear = np.empty(which[-1].stop - first), np.empty(which[-1].stop - first)
    device, played = union.compute.device, weights if plan.reference == "redrawn" else weights[: plan.n_reference]
    equal = bool(played.min() == played.max())
    for toys, code in _drawn(plan, which, len(union)):
        start: Preconditioner = Shared(fits.chord) if fits.whitener is None else fits.whitener(code.to(device))
        rows = _rows_used(plan, code)
        phi, w = (union, weights) if rows is None else (union.take(rows), weights[torch.from_numpy(rows)])
        own = code if rows is None else code[:, torch.from_numpy(rows)]
        batch = make_batch(
            phi,
            own.to(device),
            w,
            torch.from_numpy(plan.expected[toys.start : toys.stop]).to(device),
            recipe.normalisation,
            recipe.penalty,
            quadratic=recipe.mode == "one_step",
            sums=_known_sums(plan, toys, w) if equal else None,
        )
        fit = _fit(fits, batch, start, toys)
        require_convergence(fit, "toys")
        t[toys.start - first : toys.stop - first] = fit.t.cpu().numpy()
        linear[toys.start - first : toys.stop - first] = fit.linear.cpu().numpy()
        tick(len(toys))
    return t, linear


def _fit(fits: ToyFits, batch: Batch, start: Preconditioner, toys: range) -> Fit:
    """Return the fits of `toys`; a profiled statistic stands for its own linear one."""
    plan, nuisances = fits.plan, fits.recipe.nuisances
    if nuisances is None or plan.auxiliary is None:
        return fit_batch(batch, start, fits.form, fits.recipe.mode)
    a = torch.from_numpy(plan.auxiliary[toys.start : toys.stop]).to(batch.code.device)
    found = profile(batch, nuisances, a, fits.chord)
    growth = fits.recipe.growth
    t = found.t if growth is None else found.t * growth_factor(found.nu_null, growth)
    return Fit(t, found.b, t, found.converged)


def _drawn(plan: ToyPlan, which: list[range], n_union: int) -> Iterator[tuple[range, Tensor]]:
    """Yield batches of toys with their codes int8 (T, m), valid until the next one is asked for.

    Small unions: the next batch is drawn while this one is fitted. Large ones: all threads draw, and fit, in turn; a
    second batch would cost as much memory as the first. Buffers are used again, since fresh memory is slow.
    """
    shape = (len(which[0]), n_union)
    if n_union >= WORTH_THREADS:
        codes = np.empty(shape, dtype=np.int8)
        for toys in which:
            yield toys, _draw(plan, toys, codes)
        return
    buffers = np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int8)
    with ThreadPoolExecutor(1, thread_name_prefix="unseen-toys") as ahead:
        pending = ahead.submit(_draw, plan, which[0], buffers[0])
        for i, toys in enumerate(which):
            code = pending.result()
            if i + 1 < len(which):
                pending = ahead.submit(_draw, plan, which[i + 1], buffers[(i + 1) % 2])
            yield toys, code


def _draw(plan: ToyPlan, toys: range, codes: Codes) -> Tensor:
    """Write the codes of `toys` to the first rows of `codes` and return them, (T, m)."""

    def draw(part: range) -> None:
        for i in part:
            codes[i] = plan.draw(toys[i])

    run_parts(draw, len(toys))  # a thread that draws ahead has no other threads to use
    return torch.from_numpy(codes[: len(toys)])


def _whitener(plan: ToyPlan, union: Features, recipe: Recipe) -> DataWhitener | None:
    """Return the preconditioner that knows each toy's data, where it pays."""
    if not DataWhitener.pays(union, int(plan.n_data.max())):
        return None
    n_data = float(plan.n_data.mean())
    everywhere = torch.full((len(union),), n_data / len(union), dtype=union.compute.dtype, device=union.compute.device)
    moment = union.second_moment(everywhere)
    n = plan.n_reference + n_data
    return DataWhitener(union, shared_factor(moment, n, recipe.penalty, recipe.normalisation, share=0.25))


def batches(plan: ToyPlan, n_union: int) -> list[range]:
    """Return ranges of toys; the size depends on the numbers of events alone, never on memory or threads."""
    used = (plan.n_reference + float(plan.n_data.mean())) / n_union
    size = 1 if used < DENSE else max(1, min(TOYS_PER_BATCH, LARGEST_BATCH // n_union))
    return [range(start, min(start + size, plan.n_toys)) for start in range(0, plan.n_toys, size)]


def _known_sums(plan: ToyPlan, toys: range, weights: Tensor) -> Sums:
    """Return the counts and sums of toys whose reference events all weigh the same."""
    n_data = torch.from_numpy(plan.n_data[toys.start : toys.stop]).to(weights)
    n_reference = torch.full_like(n_data, plan.n_reference)
    return n_data, n_reference, n_reference * weights.max()


def _rows_used(plan: ToyPlan, code: Tensor) -> Index | None:
    """Return the sorted rows that any toy uses, or None when copying them would not pay."""
    used = (plan.n_reference + float(plan.n_data.mean())) / code.shape[1]
    if plan.reference == "redrawn" and 1.0 - (1.0 - used) ** len(code) > WORTH_COPYING:
        return None
    seen = torch.zeros(code.shape[1], dtype=torch.bool)
    for row in code:
        seen |= row != 0
    return None if int(seen.sum()) > WORTH_COPYING * len(seen) else seen.nonzero()[:, 0].numpy()
