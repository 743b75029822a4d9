"""The last fit of a head, on a frozen embedding: what the search gets must be at its minimum."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.embed.fine_tuning.closure import Residuals, mean_squared_pull, residuals
from unseen.embed.fine_tuning.heads import Head, HeadProblem
from unseen.embed.fine_tuning.paired import Paired
from unseen.embed.fine_tuning.settings import RefitConfig
from unseen.embed.fine_tuning.terms import cross_entropy
from unseen.errors import NonFiniteError

__all__ = ["RefitReport", "head_problem", "refit_head"]

BLOCK = 65536  # rows at a time where nothing is learned


@dataclass(frozen=True)
class RefitReport:
    """Held-out numbers of the last fit, per nominal event, in nats; closures as `mean_squared_pull`.

    gain: of the cross-entropy over r = 1; epochs: passes done; best: the one that was kept.
    """

    gain: float
    closure: float | None
    shift: float | None
    epochs: int
    best: int


def head_problem(z: Tensor, scale: Tensor, n_processes: int) -> HeadProblem:
    """Standardise by nominal selected events z (n, d); a column without spread counts as one with 1."""
    deviation = z.double().std(dim=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return HeadProblem(z.double().mean(dim=0).float(), deviation.float(), scale, n_processes)


def refit_head(head: Head, fit: Paired, held: Paired, config: RefitConfig, generator: torch.Generator) -> RefitReport:
    """Minimise the cross-entropy on `fit` in place, keep the pass with the least loss on `held`.

    Errors: NonFiniteError (diverged).
    """
    pairs = len(fit) * len(fit.at)
    steps = config.epochs * max(1, round(pairs / config.batch_size))
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    best, kept, epoch, at = _loss_of(head, held), copy.deepcopy(head.state_dict()), 0, 0
    patience = config.epochs if config.patience is None else config.patience
    while epoch < config.epochs and epoch - at < patience:
        order = torch.randperm(pairs, generator=generator)
        for index in order.tensor_split(max(1, round(pairs / config.batch_size))):
            optimiser.zero_grad()
            loss = _loss(head, fit, index)
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        epoch += 1
        found = _loss_of(head, held)
        if not math.isfinite(found):
            raise NonFiniteError(
                f"the last fit of the ratio diverged in epoch {epoch}: lower refit.lr (now {config.lr:g}), or narrow "
                "width if nuisance factors are very large"
            )
        if found < best:
            best, kept, at = found, copy.deepcopy(head.state_dict()), epoch
    head.load_state_dict(kept)
    return _report(head, held, epoch, at)


def _loss(head: Head, paired: Paired, index: Tensor) -> Tensor:
    """The cross-entropy of pairs (event, copy), and of what else the head learns, over their share of the sample."""
    event, copied = index % len(paired), index // len(paired)
    z = torch.cat([paired.z[event], paired.at[copied, event]])
    nu = paired.nu[copied, event].repeat(2, 1)
    process = paired.process[event]
    rate = torch.cat([paired.rate[event], paired.rate_at[copied, event]]).float() / len(index)
    shifted = torch.arange(len(z)) >= len(index)
    loss = cross_entropy(head(z, nu, process.repeat(2)), rate, shifted)
    return loss + head.auxiliary(z[: len(index)], process, rate[: len(index)])


def _loss_of(head: Head, paired: Paired) -> float:
    with torch.no_grad():
        pairs = len(paired) * len(paired.at)
        blocks = torch.split(torch.arange(pairs), BLOCK)
        return math.fsum(float(_loss(head, paired, index)) * len(index) / pairs for index in blocks)


def _report(head: Head, held: Paired, epochs: int, best: int) -> RefitReport:
    learned: list[Residuals] = []
    unweighted: list[Residuals] = []
    gain = 0.0
    instance = torch.arange(len(held)).repeat(2)
    shifted = torch.arange(2 * len(held)) >= len(held)
    with torch.no_grad():
        for at, nu, rate_at in zip(held.at, held.nu, held.rate_at, strict=True):
            z, both = torch.cat([held.z, at]), nu.repeat(2, 1)
            rate = torch.cat([held.rate, rate_at]) / len(held.at)
            log_r = head(z, both, held.process.repeat(2)).double()
            gain -= float(cross_entropy(log_r, rate, shifted)) / len(held)
            for value, into in ((log_r, learned), (torch.zeros_like(log_r), unweighted)):
                x = head.standard(z).double()
                into.append(residuals(x, (both / head.scale).double(), value, rate, shifted, instance))
    return RefitReport(gain, mean_squared_pull(learned), mean_squared_pull(unweighted), epochs, best)
