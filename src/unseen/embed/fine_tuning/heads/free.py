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
