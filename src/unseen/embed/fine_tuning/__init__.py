"""Stage B: fine-tune an embedding so that it covaries with nuisance parameters, and learn how."""

from unseen.embed.fine_tuning.fine_tune import fine_tune
from unseen.embed.fine_tuning.heads import HEADS
from unseen.embed.fine_tuning.result import FineTuned
from unseen.embed.fine_tuning.settings import FineTuneConfig, RefitConfig
from unseen.embed.fine_tuning.terms import METHODS

__all__ = ["HEADS", "METHODS", "FineTuneConfig", "FineTuned", "RefitConfig", "fine_tune"]
