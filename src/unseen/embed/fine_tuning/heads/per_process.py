"""`per-process`: a ratio for every process, because a systematic does not act alike on all of them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unseen.embed.fine_tuning.heads.base import Head, HeadConfig, HeadProblem
from unseen.embed.fine_tuning.heads.polynomial import monomials, of_pairs, silent, stacked
from unseen.embed.layers import perceptron

__all__ = ["PerProcessConfig", "PerProcessHead"]


class PerProcessConfig(HeadConfig):
    """Settings of `per-process`."""

    name: Literal["per-process"] = "per-process"

    def build(self, problem: HeadProblem) -> Head:
        """The networks of coefficients and fractions."""
        return PerProcessHead(problem, self)


class PerProcessHead(Head):
    """log r_p = c_p(z) . m(nu / scale) for the process p of the event, and the fractions pi_p(z) of the processes.

    All coefficients come from one network. The fractions are fitted with the last fit: log r of the mixture is
    log sum_p pi_p(z) r_p(z; nu).
    """

    def __init__(self, problem: HeadProblem, config: PerProcessConfig):
        super().__init__(problem)
        k = problem.n_nuisances
        self.shape = (problem.n_processes, k + k * (k + 1) // 2)
        self.network = silent(perceptron(problem.dim, config.hidden, self.shape[0] * self.shape[1]))
        self.fractions = perceptron(problem.dim, config.hidden, problem.n_processes)

    def forward(self, z: Tensor, nu: Tensor, process: Tensor) -> Tensor:
        """log r (b,) of the event's own process."""
        log_r: Tensor = (self._own(z, process) * monomials(nu / self.scale)).sum(dim=1)
        return log_r

    def pairs(self, z: Tensor, at: Tensor, nu: Tensor, process: Tensor) -> tuple[Tensor, Tensor]:
        """log r (c, b) of events and of their copies: those of one event share its coefficients."""
        return of_pairs(self._own(stacked(z, at), process.repeat(1 + len(at))), nu / self.scale)

    def _own(self, z: Tensor, process: Tensor) -> Tensor:
        """The coefficients of every event's own process."""
        table: Tensor = self.network(self.standard(z)).unflatten(1, self.shape)
        return table[torch.arange(len(z), device=z.device), process]

    def auxiliary(self, z: Tensor, process: Tensor, rate: Tensor) -> Tensor:
        """The cross-entropy of the process: its minimum is pi_p(z) at the rates of the sample."""
        each = nn.functional.cross_entropy(self.fractions(self.standard(z)), process, reduction="none")
        return (rate * each).sum()
