"""Find the step at which a training diverges, and keep its batch and the state that met it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.errors import NonFiniteError
from unseen.events.atomic import write_whole

__all__ = ["DIAGNOSIS", "Step", "Watch", "write_diagnosis"]

DIAGNOSIS = "diverged.npz"
# A GPU is asked for the losses of so many steps at once: asking at every step would make it wait for Python.
STEPS_BETWEEN_LOOKS = 8


@dataclass
class Step:
    """A step as it was when the weights had not moved yet: loss and norm of the gradient (2,), batch, weights."""

    index: int
    values: Tensor
    batch: Batch
    state: Mapping[str, Tensor]


@dataclass
class Watch:
    """Looks at every step before the optimiser acts on it.

    At once with `every` 1. Otherwise at every so many steps, and until then each step's batch and a copy of its weights
    are kept.
    """

    every: int = 1
    steps: list[Step] = field(default_factory=list)
    spare: list[dict[str, Tensor]] = field(default_factory=list)

    def seen(self, index: int, loss: Tensor, norm: Tensor, batch: Batch, module: nn.Module) -> Step | None:
        """Note a step; returns the first one of those noted whose loss or gradient is not finite, once it is found."""
        values = torch.stack([loss.detach().double(), norm.detach().double()])
        if self.every == 1:
            return None if values.isfinite().all() else Step(index, values, batch, module.state_dict())
        self.steps.append(Step(index, values, batch, self._copy(module.state_dict())))
        return self.look() if len(self.steps) == self.every else None

    def look(self) -> Step | None:
        """The first of the steps noted since the last look that is not finite."""
        steps, self.steps = self.steps, []
        if not steps:
            return None
        fine = torch.stack([step.values for step in steps]).isfinite().all(dim=1).tolist()
        if all(fine):
            self.spare += [dict(step.state) for step in steps]
            return None
        return steps[fine.index(False)]

    def _copy(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        copy = self.spare.pop() if self.spare else {name: torch.empty_like(value) for name, value in state.items()}
        for name, value in state.items():
            copy[name].copy_(value)
        return copy


def write_diagnosis(path: Path, step: Step, kind: str, epoch: int, n_steps: int, lr: float) -> NonFiniteError:
    """Write a step to `path` (arrays `batch.*`, `state.*`, loss, gradient_norm, epoch, step); the error to raise.

    The batch is as the objective saw it: views, weights and anomalous copies included. Errors: DiskSpaceError.
    """
    loss, norm = step.values.tolist()
    arrays = {f"batch.{f.name}": getattr(step.batch, f.name).cpu().numpy() for f in fields(step.batch)}
    arrays |= {f"state.{name}": value.detach().float().cpu().numpy() for name, value in step.state.items()}
    arrays |= {"loss": np.array(loss), "gradient_norm": np.array(norm)}
    arrays |= {"epoch": np.array(epoch), "step": np.array(step.index)}
    with write_whole(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)
    what = f"loss is {loss:g}" if not math.isfinite(loss) else f"loss is {loss:g} but its gradient is not finite"
    return NonFiniteError(
        f"the {kind} {what} in epoch {epoch}, step {step.index} of {n_steps}: training diverged. Batch and weights at "
        f"that step are in {path}. Lower lr (now {lr:g}), or look for extreme values in the batch"
    )
