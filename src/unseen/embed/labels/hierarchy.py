"""`hierarchy`: levels of classes from coarse to fine, for objectives that grade similarity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from unseen.embed.labels.base import LabelConfig, part
from unseen.embed.labels.factor import Factor
from unseen.events import Events

__all__ = ["HierarchyConfig"]


class HierarchyConfig(LabelConfig):
    """Settings of `hierarchy`: encodings from coarse to fine; every one splits the classes of those before it.

    A property that two of them share (the process of `process` and of `final-state`) is one level, not two.
    """

    name: Literal["hierarchy"] = "hierarchy"
    least: int = Field(default=50, gt=0, description="Fewest events of a class.")
    levels: tuple[Annotated[SerializeAsAny[LabelConfig], BeforeValidator(part)], ...] = Field(
        min_length=1, description="Label encodings, the coarsest first: names or mappings."
    )

    @property
    def truths(self) -> tuple[str, ...]:
        """Those of all levels."""
        return tuple(name for level in self.levels for name in level.truths)

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """Those of all levels in order."""
        return tuple(factor for level in self.levels for factor in level.factors(events))
