"""Refitting toys: the statistics of all toys of a plan at one width, in batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.precondition import DataWhitener, Preconditioner, Shared
from unseen.search.statistic import chord_factor, fit_batch, make_batch, require_convergence
from unseen.search.toys import Index, ToyPlan
from unseen.search.validate import Floats

__all__ = ["toy_statistics"]

TOYS_PER_BATCH = 128
LARGEST_BATCH = 2**22  # events times toys
DENSE = 0.05  # toys that use less of the union than this are fitted one by one on their own events


def toy_statistics(
    plan: ToyPlan,
    union: Features,
    weights: Tensor,
    factor: Tensor,
    *,
    mode: str,
    normalisation: str,
    penalty: float,
    tick: Callable[[int], None],
) -> Floats:
    """Return t (n_toys,). `weights` are the reference weights (n_reference,) summing to N; `tick` gets toys done."""
    t = np.empty(plan.n_toys)
    whitener = None
    if mode == "converged" and DataWhitener.pays(union, int(plan.n_data.max())):
        everywhere = torch.full((len(union),), float(weights.sum()) / len(union), dtype=weights.dtype)
        n = plan.n_reference + float(plan.n_data.mean())
        whitener = DataWhitener(union, chord_factor(union, everywhere, n, penalty, share=0.25))
    for toys in _batches(plan, len(union)):
        draws = [plan.draw(i) for i in toys]
        rows = _rows_used(draws, len(union))
        phi = union if rows is None else union.take(rows)
        reference, data = _columns(draws, weights, plan, len(phi), rows)
        batch = make_batch(phi, reference, data, normalisation, penalty)
        start: Preconditioner = Shared(factor) if whitener is None else whitener(_data_rows(draws))
        fit = fit_batch(batch, start, mode)
        require_convergence(fit, "toys")
        t[toys.start : toys.stop] = fit.t.numpy()
        tick(len(toys))
    return t


def _data_rows(draws: list[tuple[Index, Index]]) -> list[Tensor]:
    """Return the rows of the union that are data in each toy."""
    return [torch.from_numpy(data) for _, data in draws]


def _batches(plan: ToyPlan, n_union: int) -> Iterator[range]:
    """Yield ranges of toys; the size depends on the numbers of events alone, never on memory or threads."""
    used = (plan.n_reference + float(plan.n_data.mean())) / n_union
    size = 1 if used < DENSE else max(1, min(TOYS_PER_BATCH, LARGEST_BATCH // n_union))
    for start in range(0, plan.n_toys, size):
        yield range(start, min(start + size, plan.n_toys))


def _rows_used(draws: list[tuple[Index, Index]], n_union: int) -> Index | None:
    """Return the sorted rows that any toy uses, or None when copying them would not pay."""
    used = np.zeros(n_union, dtype=bool)
    for reference, data in draws:
        used[reference] = True
        used[data] = True
    return None if used.sum() > 0.7 * n_union else np.flatnonzero(used)


def _columns(
    draws: list[tuple[Index, Index]], weights: Tensor, plan: ToyPlan, m: int, rows: Index | None
) -> tuple[Tensor, Tensor]:
    """Return the reference weights and data counts (m, T) of the drawn toys."""
    reference = torch.zeros(m, len(draws), dtype=weights.dtype)
    data = torch.zeros_like(reference)
    for column, (ref, dat) in enumerate(draws):
        if rows is not None:
            ref, dat = np.searchsorted(rows, ref), np.searchsorted(rows, dat)
        reference[torch.from_numpy(ref), column] = weights
        data[torch.from_numpy(dat), column] = 1.0
    return reference, data
