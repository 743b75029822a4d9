"""Minibatch Adam for the small networks of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["descend", "seeded"]


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Draw the initial weights inside from `rng`: torch's layers know its global generator alone, restored after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        yield


def descend(
    module: nn.Module,
    loss: Callable[[Tensor], Tensor],
    n: int,
    rng: np.random.Generator,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
) -> None:
    """Minimise `loss(rows)`, a mean over rows (b,) of n events; the learning rate falls to zero as a cosine."""
    batch = min(batch, n)
    steps = epochs * (n // batch)
    adam = torch.optim.Adam(module.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    module.train()
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(n))
        for first in range(0, n // batch * batch, batch):
            adam.zero_grad()
            value = loss(order[first : first + batch])
            torch.autograd.backward(value)
            adam.step()
            schedule.step()
    module.eval()
