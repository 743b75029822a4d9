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

BLOCK = 4096  # pairs at a time where nothing is learned: what a core's cache likes
# The usual 0.999 averages squared gradients over 1,000 steps: more than a short fit has.
BETAS = (0.9, 0.99)


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
    fit = fit.counting()
    steps = min(max(1, round(len(fit) * len(fit.at) / config.batch_size)), len(fit))
    decay = config.weight_decay
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.lr, betas=BETAS, weight_decay=decay, fused=True)
    total = config.epochs * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / total)))
    best, kept, epoch, at = _loss_of(head, held), copy.deepcopy(head.state_dict()), 0, 0
    patience = config.epochs if config.patience is None else config.patience
    while epoch < config.epochs and epoch - at < patience:
        for events in torch.randperm(len(fit), generator=generator).tensor_split(steps):
            optimiser.zero_grad()
            torch.autograd.backward(paired_loss(head, fit.rows(events)))
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


def paired_loss(head: Head, paired: Paired) -> Tensor:
    """The cross-entropy of m events with each of their copies, per pair, and what else the head learns, per event."""
    nominal, moved = head.pairs(paired.z, paired.at, paired.nu, paired.process)
    rate = paired.rate.float() / len(paired)
    each = torch.cat([rate.expand_as(nominal), paired.rate_at.float() / len(paired)]) / len(nominal)
    shifted = torch.arange(2 * len(nominal))[:, None] >= len(nominal)
    loss = cross_entropy(torch.cat([nominal, moved]), each, shifted)
    return loss + head.auxiliary(paired.z, paired.process, rate)


def _loss_of(head: Head, paired: Paired) -> float:
    size = max(1, BLOCK // len(paired.at))
    with torch.no_grad():
        blocks = [paired.rows(rows) for rows in torch.split(torch.arange(len(paired)), size)]
        return math.fsum(float(paired_loss(head, block)) * len(block) / len(paired) for block in blocks)


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
