"""Nuisance parameters: continuous distortions of events, with priors. Extending is one file and one line below."""

from unseen.systematics.attach import attach_variation
from unseen.systematics.base import Nuisance, NuisanceConfig
from unseen.systematics.batch import Batch
from unseen.systematics.interpolation import interpolate
from unseen.systematics.migration import Migration, migration
from unseen.systematics.nuisance_set import Distorted, NuisanceSet
from unseen.systematics.prior import Prior
from unseen.systematics.ratio import (
    Block,
    Closure,
    DensityRatio,
    RatioSamples,
    fit_kernel_ratio,
    fit_mixture_ratio,
    fit_weight_ratio,
    join,
    moment_closure,
    propose,
    ratio_samples,
    yield_ratio,
)
from unseen.systematics.table import NUISANCES, SystematicsConfig

__all__ = [
    "NUISANCES",
    "Batch",
    "Block",
    "Closure",
    "DensityRatio",
    "Distorted",
    "Migration",
    "Nuisance",
    "NuisanceConfig",
    "NuisanceSet",
    "Prior",
    "RatioSamples",
    "SystematicsConfig",
    "attach_variation",
    "fit_kernel_ratio",
    "fit_mixture_ratio",
    "fit_weight_ratio",
    "interpolate",
    "join",
    "migration",
    "moment_closure",
    "propose",
    "ratio_samples",
    "yield_ratio",
]
