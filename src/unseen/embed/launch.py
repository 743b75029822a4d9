"""How many processes train together, and who starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from unseen.errors import ConfigError

__all__ = ["Launch", "plan_launch"]

# What torchrun and Slurm tell every process that they start: how many there are, and which one it is.
LAUNCHERS = (("WORLD_SIZE", "RANK"), ("SLURM_NTASKS", "SLURM_PROCID"))


@dataclass(frozen=True)
class Launch:
    """`processes` train together; `outside`: torchrun or Slurm started this one, number `rank`, and all the others."""

    processes: int
    outside: bool
    rank: int

    @property
    def spawns(self) -> bool:
        """Whether this process starts the others itself."""
        return self.processes > 1 and not self.outside

    @property
    def writes(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def strategy(self) -> dict[str, Any]:
        """Lightning's names for it."""
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment

        if self.outside:
            return {"strategy": "ddp"}
        # Said outright: Lightning would take the job of a batch system for a training on all its tasks.
        return {"strategy": "ddp_spawn" if self.spawns else "auto", "plugins": [LightningEnvironment()]}


def plan_launch(devices: int, nodes: int) -> Launch:
    """One process for each device: started by torchrun or `srun` if they started this one, else here.

    Errors: ConfigError (several nodes, or other numbers than those of the launcher).
    """
    processes = devices * nodes
    if processes == 1:
        return Launch(1, False, 0)
    for size, rank in LAUNCHERS:
        if int(os.environ.get(size, "1")) == processes and rank in os.environ:
            return Launch(processes, True, int(os.environ[rank]))
    if nodes > 1:
        raise ConfigError(
            f"devices {devices} on nodes {nodes} need {processes} processes that torchrun or srun started, and this "
            f"one was not: e.g. torchrun --nnodes {nodes} --nproc-per-node {devices} ..."
        )
    return Launch(processes, False, 0)
