"""`none`: every event in one class, for self-supervised objectives."""

from __future__ import annotations

from typing import Literal

from unseen.embed.labels.base import LabelConfig
from unseen.embed.labels.factor import Factor
from unseen.events import Events

__all__ = ["NoneConfig"]


class NoneConfig(LabelConfig):
    """Settings of `none`: one class, `all`."""

    name: Literal["none"] = "none"

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """Nothing tells events apart."""
        return ()
