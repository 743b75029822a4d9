"""A run on its way through the stages: what they share, and what is noted of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from unseen.config import Config
from unseen.dealing import load_pools
from unseen.events import Events
from unseen.progress import Display
from unseen.stages import run_stage, stage_seconds

__all__ = ["RunContext"]


@dataclass
class RunContext:
    """A run on its way through the stages: each one adds the hash of what it wrote, which the later ones depend on."""

    config: Config
    workers: int | None
    display: Display
    cluster: str | None = None
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.config.out

    @property
    def fine_tuned(self) -> bool:
        """Whether the embedding is fine-tuned after its training."""
        systematics = self.config.systematics
        return systematics is not None and systematics.fine_tune is not None

    @property
    def model(self) -> Path:
        """The folder of the model that embeds."""
        return self.out / ("finetune" if self.fine_tuned else "train")

    @cached_property
    def pools(self) -> tuple[Events, dict[str, Events]]:
        """Training events and the other pools; read once, when a stage that is not skipped needs them."""
        return load_pools(self.config, self.out / "simulate")

    def stage(
        self,
        name: str,
        inputs: Mapping[str, Any],
        work: Callable[[Path], None],
        outputs: tuple[str, ...],
        **options: Any,
    ) -> None:
        """Run a stage unless its inputs (its settings, the seed, all that came before, the package) are unchanged."""
        everything = {
            "stage": name,
            "inputs": inputs,
            "seed": self.config.seed,
            "before": self.hashes,
            "unseen": metadata.version("unseen"),
            # Sums in another order differ in the last bits: results are tied to the number of threads.
            "threads": torch.get_num_threads(),
        }
        self.hashes[name], skipped = run_stage(self.out / name, everything, work, outputs=outputs, **options)
        seconds = stage_seconds(self.out / name)
        self.display.say(f"{name:9s} " + ("unchanged, kept" if skipped else f"done in {seconds:.0f} s"))

    @property
    def seconds(self) -> dict[str, float]:
        """How long every stage so far took when it was last run."""
        times = {name: stage_seconds(self.out / name) for name in self.hashes}
        return {name: time for name, time in times.items() if time is not None}

    def provenance(self) -> dict[str, Any]:
        """Where and how the run was made: versions, machine, hashes of every stage's outputs, times."""
        versions = {name: metadata.version(name) for name in ("unseen", "torch", "numpy", "scipy", "lightning")}
        return {
            "seed": self.config.seed,
            "versions": versions | {"python": platform.python_version()},
            "machine": {
                "system": platform.system(),
                "architecture": platform.machine(),
                "cores": os.cpu_count(),
                "threads": torch.get_num_threads(),
            },
            "outputs": self.hashes,
            "seconds": self.seconds,
        }
