"""Refitting toys: the statistics of all toys of a plan at one width, in batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.loss import Sums, make_batch
from unseen.search.normalisation import Normalisation
from unseen.search.parallel import run_parts
from unseen.search.precondition import DataWhitener, Preconditioner, Shared
from unseen.search.statistic import LinearForm, fit_batch, require_convergence, shared_factor
from unseen.search.toys import Codes, Index, ToyPlan
from unseen.search.validate import Floats

__all__ = ["Recipe", "toy_statistics"]

TOYS_PER_BATCH = 128
LARGEST_BATCH = 2**28  # events times toys: one byte each
WORTH_THREADS = 1_000_000  # events: below, numpy's many small calls only wait for each other
WORTH_COPYING = 0.7  # of the union: copying the used rows pays below this
DENSE = 0.05  # toys that use less of the union than this are fitted one by one on their own events


@dataclass(frozen=True)
class Recipe:
    """How a toy is fitted: statistic, normalisation and penalty."""

    mode: str
    normalisation: Normalisation
    penalty: float


def toy_statistics(
    plan: ToyPlan,
    union: Features,
    weights: Tensor,
    chord: Tensor,
    form: LinearForm,
    recipe: Recipe,
    tick: Callable[[int], None],
) -> tuple[Floats, Floats]:
    """Return t and the linear statistic of every toy, (n_toys,) each.

    `weights` (m,) are the weights of the union's events as reference, `form` belongs to the reference at hand; `tick`
    is told how many toys are done.
    """
    t, linear = np.empty(plan.n_toys), np.empty(plan.n_toys)
    device, played = union.compute.device, weights if plan.reference == "redrawn" else weights[: plan.n_reference]
    equal = bool(played.min() == played.max())
    whitener = _whitener(plan, union, recipe) if recipe.mode != "linear" else None
    for toys, code in _drawn(plan, list(_batches(plan, len(union))), len(union)):
        start: Preconditioner = Shared(chord) if whitener is None else whitener(code.to(device))
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
        fit = fit_batch(batch, start, form, recipe.mode)
        require_convergence(fit, "toys")
        t[toys.start : toys.stop] = fit.t.cpu().numpy()
        linear[toys.start : toys.stop] = fit.linear.cpu().numpy()
        tick(len(toys))
    return t, linear


def _drawn(plan: ToyPlan, batches: list[range], n_union: int) -> Iterator[tuple[range, Tensor]]:
    """Yield batches of toys with their codes int8 (T, m), valid until the next one is asked for.

    Small unions: the next batch is drawn while this one is fitted. Large ones: all threads draw, and fit, in turn; a
    second batch would cost as much memory as the first. Buffers are used again, since fresh memory is slow.
    """
    shape = (len(batches[0]), n_union)
    if n_union >= WORTH_THREADS:
        codes = np.empty(shape, dtype=np.int8)
        for toys in batches:
            yield toys, _draw(plan, toys, codes)
        return
    buffers = np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int8)
    with ThreadPoolExecutor(1, thread_name_prefix="unseen-toys") as ahead:
        pending = ahead.submit(_draw, plan, batches[0], buffers[0])
        for i, toys in enumerate(batches):
            code = pending.result()
            if i + 1 < len(batches):
                pending = ahead.submit(_draw, plan, batches[i + 1], buffers[(i + 1) % 2])
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


def _batches(plan: ToyPlan, n_union: int) -> Iterator[range]:
    """Yield ranges of toys; the size depends on the numbers of events alone, never on memory or threads."""
    used = (plan.n_reference + float(plan.n_data.mean())) / n_union
    size = 1 if used < DENSE else max(1, min(TOYS_PER_BATCH, LARGEST_BATCH // n_union))
    for start in range(0, plan.n_toys, size):
        yield range(start, min(start + size, plan.n_toys))


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
