"""Refitting toys: the statistics of all toys of a plan at one width, in batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.loss import make_batch
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import DataWhitener, Preconditioner, Shared
from unseen.search.statistic import LinearForm, fit_batch, require_convergence, shared_factor
from unseen.search.toys import Index, ToyPlan
from unseen.search.validate import Floats

__all__ = ["Recipe", "draw_codes", "toy_statistics"]

TOYS_PER_BATCH = 128
LARGEST_BATCH = 2**28  # events times toys: one byte each
DENSE = 0.05  # toys that use less of the union than this are fitted one by one on their own events


@dataclass(frozen=True)
class Recipe:
    """How a toy is fitted: statistic, normalisation and penalty."""

    mode: str
    normalisation: Normalisation
    penalty: float


def toy_statistics(
    plan: ToyPlan, union: Features, weights: Tensor, form: LinearForm, recipe: Recipe, tick: Callable[[int], None]
) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of every toy, (n_toys,) each.

    `weights` (m,) are the weights of the union's events as reference, `form` belongs to the reference at hand; `tick`
    is told how many toys are done.
    """
    t, linear = np.empty(plan.n_toys), np.empty(plan.n_toys)
    whitener = _whitener(plan, union, recipe) if recipe.mode != "linear" else None
    for toys in _batches(plan, len(union)):
        code = draw_codes(plan, toys)
        start: Preconditioner = Shared(form.factor) if whitener is None else whitener(code.to(union.compute.device))
        rows = _rows_used(code, len(union))
        phi, w = (union, weights) if rows is None else (union.take(rows), weights[torch.from_numpy(rows)])
        batch = make_batch(
            phi,
            (code if rows is None else code[:, torch.from_numpy(rows)]).to(union.compute.device),
            w,
            torch.from_numpy(plan.expected[toys.start : toys.stop]).to(w.device),
            recipe.normalisation,
            recipe.penalty,
        )
        fit = fit_batch(replace(batch, quadratic=recipe.mode == "one_step"), start, form, recipe.mode)
        require_convergence(fit, "toys")
        t[toys.start : toys.stop] = fit.t.cpu().numpy()
        linear[toys.start : toys.stop] = fit.linear.cpu().numpy()
        tick(len(toys))
    return t, linear


def draw_codes(plan: ToyPlan, toys: range) -> Tensor:
    """Return the codes int8 (T, m) of `toys`."""
    codes = np.empty((len(toys), plan.n_reference + plan.n_pool), dtype=np.int8)
    for row, toy in zip(codes, toys, strict=True):
        row[:] = plan.draw(toy)
    return torch.from_numpy(codes)


def _whitener(plan: ToyPlan, union: Features, recipe: Recipe) -> DataWhitener | None:
    """Return the preconditioner that knows each toy's data, where it pays."""
    if not DataWhitener.pays(union, int(plan.n_data.max())):
        return None
    n_data = float(plan.n_data.mean())
    everywhere = torch.full((len(union),), n_data / len(union), dtype=union.compute.dtype, device=union.compute.device)
    moment = union.second_moment(everywhere)
    n = plan.n_reference + n_data
    return DataWhitener(union, shared_factor(moment, n, recipe.penalty, recipe.normalisation, share=0.25))


def _batches(plan: ToyPlan, n_union: int) -> Iterator[range]:
    """Yield ranges of toys; the size depends on the numbers of events alone, never on memory or threads."""
    used = (plan.n_reference + float(plan.n_data.mean())) / n_union
    size = 1 if used < DENSE else max(1, min(TOYS_PER_BATCH, LARGEST_BATCH // n_union))
    for start in range(0, plan.n_toys, size):
        yield range(start, min(start + size, plan.n_toys))


def _rows_used(code: Tensor, n_union: int) -> Index | None:
    """Return the sorted rows that any toy uses, or None when copying them would not pay."""
    used = torch.zeros(n_union, dtype=torch.bool)
    for row in code:
        used |= row != 0
    return None if int(used.sum()) > 0.7 * n_union else used.nonzero()[:, 0].numpy()
