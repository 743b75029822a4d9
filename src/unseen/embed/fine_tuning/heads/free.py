"""`free`: any function of z and nu, where a polynomial is too stiff."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unseen.embed.fine_tuning.heads.base import Head, HeadConfig, HeadProblem
from unseen.embed.fine_tuning.heads.polynomial import silent
from unseen.embed.layers import perceptron

__all__ = ["FreeConfig", "FreeHead"]


class FreeConfig(HeadConfig):
    """Settings of `free`."""

    name: Literal["free"] = "free"

    def build(self, problem: HeadProblem) -> Head:
        """The network g."""
        return FreeHead(problem, self)


class FreeHead(Head):
    """log r = g(z, nu / scale) - g(z, 0). The search takes its projection on polynomials of second degree in nu."""

    def __init__(self, problem: HeadProblem, config: FreeConfig):
        super().__init__(problem)
        self.network = silent(perceptron(problem.dim + problem.n_nuisances, config.hidden, 1))

    def forward(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """log r (b,)."""
        x, scaled = self.standard(z), nu / self.scale
        both = torch.cat([torch.cat([x, scaled], dim=1), torch.cat([x, torch.zeros_like(scaled)], dim=1)])
        at, zero = self.network(both)[:, 0].chunk(2)
        log_r: Tensor = at - zero
        # The two halves of the product may round differently.
        return torch.where((nu == 0).all(dim=1), 0.0, log_r)

    def pairs(self, z: Tensor, at: Tensor, nu: Tensor, process: Tensor) -> tuple[Tensor, Tensor]:
        """log r (c, b) of events and of their copies: g(z, 0) is computed once for an event."""
        copies, events, _ = nu.shape
        x, x_at, scaled = self.standard(z), self.standard(at).flatten(0, 1), (nu / self.scale).flatten(0, 1)
        moving = torch.cat([torch.cat([x.repeat(copies, 1), x_at]), scaled.repeat(2, 1)], dim=1)
        still = torch.cat([x, x_at])
        still = torch.cat([still, still.new_zeros((len(still), nu.shape[2]))], dim=1)
        g, zero = torch.split(self.network(torch.cat([moving, still]))[:, 0], [len(moving), len(still)])
        there, there_at = g.view(2, copies, events)
        nowhere = (nu == 0).all(dim=2)
        nominal = torch.where(nowhere, 0.0, there - zero[:events])
        return nominal, torch.where(nowhere, 0.0, there_at - zero[events:].view(copies, events))
