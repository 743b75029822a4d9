"""Heads: what a ratio looks like as a function of nu. Extending is one file and one line in `HEADS`."""

from unseen.embed.fine_tuning.heads.base import Head, HeadConfig, HeadProblem
from unseen.embed.fine_tuning.heads.free import FreeConfig, FreeHead
from unseen.embed.fine_tuning.heads.per_process import PerProcessConfig, PerProcessHead
from unseen.embed.fine_tuning.heads.polynomial import PolynomialConfig, PolynomialHead

__all__ = [
    "HEADS",
    "FreeHead",
    "Head",
    "HeadConfig",
    "HeadProblem",
    "PerProcessHead",
    "PolynomialConfig",
    "PolynomialHead",
]

HEADS: dict[str, type[HeadConfig]] = {
    "polynomial": PolynomialConfig,
    "per-process": PerProcessConfig,
    "free": FreeConfig,
}
