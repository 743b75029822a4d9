"""Optimisers: gradients to steps. Extending is one file and one line in `OPTIMISERS`."""

from unseen.embed.optimisers.adamw import AdamWConfig
from unseen.embed.optimisers.base import OptimiserConfig
from unseen.embed.optimisers.lars import Lars, LarsConfig

__all__ = ["OPTIMISERS", "AdamWConfig", "Lars", "LarsConfig", "OptimiserConfig"]

OPTIMISERS: dict[str, type[OptimiserConfig]] = {"adamw": AdamWConfig, "lars": LarsConfig}
