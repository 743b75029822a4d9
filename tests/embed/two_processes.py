"""Two steps of every objective in one process or several, with the same global batch; rank 0 writes what came out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tests.embed.toy import objective_settings, toy_batch, toy_events, toy_problem
from unseen.embed import OBJECTIVES
from unseen.embed.data import Batch
from unseen.embed.gather import total, world_size
from unseen.embed.network import Network
from unseen.embed.objectives import Objective

EVENTS = 24
CASES: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in OBJECTIVES},
    "vicreg of a class": {"name": "vicreg", "pairs": "class"},
    "anomclr plus": {"name": "anomclr", "plus": True},
    "classifier adjusted": {"name": "classifier", "adjustment": 1.0},
    "sum of five": {
        "name": "sum",
        "parts": [
            {"weight": i + 1.0, "objective": name}
            for i, name in enumerate(["soft-supcon", "dino", "anomclr", "equivariant", "barlow"])
        ],
    },
}


class Both(nn.Module):
    """Network and objective under one `forward`, as in training."""

    def __init__(self, network: nn.Module, objective: Objective):
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> Tensor:
        loss: Tensor = self.objective(self.network(batch.objects, batch.present), batch)
        return loss


def work(rank: int, world: int, folder: Path) -> None:
    """Run all cases and write `<folder>/<world>.pt`: losses (steps,) and the gradients of the last step."""
    torch.set_num_threads(1)
    if world > 1:
        store = f"file://{folder / 'store'}"
        distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    results = {case: two_steps(content, rank) for case, content in CASES.items()}
    if rank == 0:
        torch.save(results, folder / f"{world}.pt")
    if world > 1:
        distributed.destroy_process_group()


def two_steps(content: dict[str, Any], rank: int) -> dict[str, Tensor]:
    """Losses of two steps, averaged over the processes, and every gradient of the second."""
    config, events = objective_settings(content), toy_events(EVENTS, seed=3)
    batch = toy_batch(events, config, np.random.default_rng(4).exponential(size=EVENTS))
    batch = replace(batch, levels=torch.stack([batch.target // 2, batch.target], dim=1))
    torch.manual_seed(5)
    problem = toy_problem(events, config)
    both = Both(Network.build(config.encoder, events.schema, problem.normalisation), config.objective.build(problem))
    silence(both.objective)
    both.objective.attach(both.network)
    module = DistributedDataParallel(both) if world_size() > 1 else both
    optimiser = torch.optim.SGD(both.parameters(), lr=0.05)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = module(batch.rows(rows_of(rank, len(batch))))
        loss.backward()
        losses.append(total(loss) / world_size())
        gradients = {name: p.grad.clone() for name, p in both.named_parameters() if p.grad is not None}
        optimiser.step()
        both.objective.after_step(both.network)
    return {"loss": torch.stack(losses), **gradients}


def rows_of(rank: int, rows: int) -> Tensor:
    """This process's events, view after view."""
    mine = EVENTS // world_size()
    starts = torch.arange(0, rows, EVENTS) + rank * mine
    return (starts[:, None] + torch.arange(mine)).flatten()


def silence(objective: Objective) -> None:
    """No noise in `vae`: what is drawn for an event depends on the rows around it."""
    for name, parameter in objective.named_parameters():
        if name.endswith("log_variance.weight"):
            nn.init.zeros_(parameter)
        if name.endswith("log_variance.bias"):
            nn.init.constant_(parameter, -30.0)
