"""Training objectives. Extending is one file and one line in `OBJECTIVES`."""

from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem
from unseen.embed.objectives.supcon import SupCon, SupConConfig, supcon_loss

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "Problem", "SupCon", "SupConConfig", "supcon_loss"]

OBJECTIVES: dict[str, type[ObjectiveConfig]] = {"supcon": SupConConfig}
