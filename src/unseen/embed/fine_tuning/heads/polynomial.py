"""`polynomial`: coefficients of log r of first and second degree in nu, with cross terms, as functions of z."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unseen.embed.fine_tuning.heads.base import Head, HeadConfig, HeadProblem
from unseen.embed.layers import perceptron

__all__ = ["PolynomialConfig", "PolynomialHead", "monomials", "of_pairs", "silent", "stacked"]


class PolynomialConfig(HeadConfig):
    """Settings of `polynomial`."""

    name: Literal["polynomial"] = "polynomial"

    def build(self, problem: HeadProblem) -> Head:
        """The network of the coefficients."""
        return PolynomialHead(problem, self)


class PolynomialHead(Head):
    """log r = c(z) . m(nu / scale), with c a perceptron; the order of m is that of `unseen.systematics.ratio`."""

    def __init__(self, problem: HeadProblem, config: PolynomialConfig):
        super().__init__(problem)
        k = problem.n_nuisances
        self.network = silent(perceptron(problem.dim, config.hidden, k + k * (k + 1) // 2))

    def forward(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """log r (b,)."""
        log_r: Tensor = (self.network(self.standard(z)) * monomials(nu / self.scale)).sum(dim=1)
        return log_r

    def pairs(self, z: Tensor, at: Tensor, nu: Tensor, process: Tensor) -> tuple[Tensor, Tensor]:
        """log r (c, b) of events and of their copies: those of one event share its coefficients."""
        return of_pairs(self.network(self.standard(stacked(z, at))), nu / self.scale)


def monomials(nu: Tensor) -> Tensor:
    """(nu_1, ..., nu_k, nu_1 nu_1, nu_1 nu_2, ..., nu_k nu_k) of nu (n, k), pairs i <= j."""
    first, second = torch.triu_indices(nu.shape[1], nu.shape[1], device=nu.device)
    return torch.cat([nu, nu.index_select(1, first) * nu.index_select(1, second)], dim=1)


def stacked(z: Tensor, at: Tensor) -> Tensor:
    """Events z (b, d) and after them their copies `at` (c, b, d), as rows."""
    return torch.cat([z, at.flatten(0, 1)])


def of_pairs(coefficients: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
    """log r (c, b) of events, and of their copies, at nu (c, b, k), from the coefficients of `stacked` rows."""
    copies, events, _ = nu.shape
    m = monomials(nu.flatten(0, 1)).view(copies, events, -1)
    nominal, moved = torch.split(coefficients, [events, copies * events])
    return (nominal * m).sum(dim=2), (moved.view_as(m) * m).sum(dim=2)


def silent(network: nn.Sequential) -> nn.Sequential:
    """The network with a last layer of zeros: it says nothing before it has learned something."""
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network
