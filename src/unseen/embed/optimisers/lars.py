"""`lars`: momentum with a learning rate of its own for every layer (arXiv:1708.03888), for very large batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import torch
from pydantic import Field
from torch import Tensor

from unseen.embed.optimisers.base import OptimiserConfig

__all__ = ["Lars", "LarsConfig"]


class LarsConfig(OptimiserConfig):
    """Settings of `lars`. Its learning rates are far larger than those of `adamw`: 0.3 batch_size / 256 in SimCLR."""

    name: Literal["lars"] = "lars"
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Share of the last step that is kept.")
    trust: float = Field(
        default=1e-3, gt=0.0, description="Length of a layer's step over that of its weights, at learning rate 1."
    )
    adapt_vectors: bool = Field(
        default=False,
        description="Adapt and decay biases and gains too; SimCLR (arXiv:2002.05709) and its followers do not.",
    )

    def build(self, parameters: Sequence[Tensor], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """One group of matrices and one of vectors."""
        matrices = [p for p in parameters if p.ndim > 1 or self.adapt_vectors]
        vectors = [p for p in parameters if p.ndim <= 1 and not self.adapt_vectors]
        groups = [
            {"params": matrices, "weight_decay": weight_decay, "trust": self.trust},
            {"params": vectors, "weight_decay": 0.0, "trust": None},
        ]
        return Lars([group for group in groups if group["params"]], lr=lr, momentum=self.momentum)


class Lars(torch.optim.Optimizer):
    """Algorithm 1 of arXiv:1708.03888, for every tensor of weights w with gradient g.

    ``lam = trust |w| / (|g| + beta |w|), v <- m v + gamma lam (g + beta w), w <- w - v``; gamma is `lr`, beta is
    `weight_decay`, m is `momentum`. Where w or g is 0, and in groups with `trust` None, lam = 1.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float | None = 1e-3,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; `closure` evaluates the loss and its gradient again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    self._update(w, w.grad, group)
        return loss

    def _update(self, w: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        beta, trust = group["weight_decay"], group["trust"]
        direction = g + beta * w
        if trust is not None:
            size, slope = w.norm(), g.norm()
            # A choice on the device: asking for the values would wait for a GPU at every layer.
            lam = torch.where((size > 0) & (slope > 0), trust * size / (slope + beta * size), 1.0)
            direction = direction * lam
        state = self.state[w]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(w)
        velocity: Tensor = state["velocity"]
        velocity.mul_(group["momentum"]).add_(direction, alpha=group["lr"])
        w.sub_(velocity)
