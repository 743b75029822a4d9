"""`process`: the simulated process, as the events carry it."""

from __future__ import annotations

from typing import Literal

from unseen.embed.labels.base import LabelConfig
from unseen.embed.labels.factor import Factor
from unseen.events import Events

__all__ = ["ProcessConfig"]


class ProcessConfig(LabelConfig):
    """Settings of `process`: a class for each process that occurs."""

    name: Literal["process"] = "process"

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """The process."""
        return (Factor.named("process", events.label, events.label_names, merge="never"),)
