"""Views: stochastic transformations for contrastive learning. Extending is one file and one line in `VIEWS`."""

from unseen.views.base import View, ViewConfig, Viewed, apply_views
from unseen.views.rotate import Rotate, RotateConfig

__all__ = ["VIEWS", "Rotate", "RotateConfig", "View", "ViewConfig", "Viewed", "apply_views"]

VIEWS: dict[str, type[ViewConfig]] = {"rotate": RotateConfig}
