"""What every head of a ratio has in common: from the embedding and nu to log r."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from unseen.registry import NamedConfig

__all__ = ["Head", "HeadConfig", "HeadProblem"]


@dataclass(frozen=True)
class HeadProblem:
    """What a head is built for: mean and deviation (d,) of z, the largest |nu| (k,), the number of processes."""

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    n_processes: int

    @property
    def dim(self) -> int:
        """Number d of columns of z."""
        return len(self.mean)

    @property
    def n_nuisances(self) -> int:
        """Number k of parameters."""
        return len(self.scale)


class Head(nn.Module):
    """log r(z; nu), exactly 0 at nu = 0 and, untrained, everywhere."""

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, problem: HeadProblem):
        super().__init__()
        self.register_buffer("mean", problem.mean.clone())
        self.register_buffer("deviation", problem.deviation.clone())
        self.register_buffer("scale", problem.scale.clone())

    @abstractmethod
    def forward(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """log r (b,) of events z (b, d) of a process (b,) at nu (b, k)."""

    def pairs(self, z: Tensor, at: Tensor, nu: Tensor, process: Tensor) -> tuple[Tensor, Tensor]:
        """log r of events z (b, d) and of their copies `at` (c, b, d), both at nu (c, b, k): (c, b) each.

        What does not depend on nu is computed once for an event, where a head has such a part.
        """
        copies = len(nu)
        rows = torch.cat([z.repeat(copies, 1), at.flatten(0, 1)])
        log_r: Tensor = self(rows, nu.flatten(0, 1).repeat(2, 1), process.repeat(2 * copies))
        nominal, moved = log_r.view(2, copies, len(z))
        return nominal, moved

    def standard(self, z: Tensor) -> Tensor:
        """z in deviations from its mean."""
        return (z - self.mean) / self.deviation

    def auxiliary(self, z: Tensor, process: Tensor, rate: Tensor) -> Tensor:
        """A loss on nominal events for parts of the head that are not the ratio; only the last fit minimises it."""
        return z.new_zeros(())


class HeadConfig(NamedConfig):
    """Settings of one head, and how to build it."""

    hidden: tuple[PositiveInt, ...] = Field(default=(64, 64), description="Hidden layers of the network.")

    @abstractmethod
    def build(self, problem: HeadProblem) -> Head:
        """The untrained head; initial weights come from torch's current generator."""
